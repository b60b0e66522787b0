"""How far a batch has come in taking over the members of its population."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batch_taking",
        sa.Column("batch_id", sa.String(length=26), nullable=False),
        sa.Column("population_id", sa.String(length=26), nullable=False),
        sa.Column("after", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_batch_taking_batch_id_batch")
        ),
        sa.ForeignKeyConstraint(
            ["population_id"], ["population.id"],
            name=op.f("fk_batch_taking_population_id_population"),
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch_taking")),
    )  # fmt: skip
    op.create_index(op.f("ix_batch_taking_population_id"), "batch_taking", ["population_id"])


def downgrade() -> None:
    op.drop_table("batch_taking")
