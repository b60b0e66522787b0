"""A database that was restored from a backup is noticed, and held until it is looked over."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_because", sa.String(32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("place = 1", name=op.f("ck_installation_only_one")),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_installation")),
    )
    op.create_table(
        "claim_count",
        sa.Column("holder", sa.String(26), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_claim_count")),
    )


def downgrade() -> None:
    op.drop_table("claim_count")
    op.drop_table("installation")
