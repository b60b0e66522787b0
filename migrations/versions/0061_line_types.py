"""What kind of line a phone is, where a client has it looked up before texts."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column("line_type_lookup", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_table(
        "line_type",
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("phone", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=True),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], op.f("fk_line_type_client_id_client")
        ),
        sa.PrimaryKeyConstraint("client_id", "phone", name=op.f("pk_line_type")),
    )
    op.create_index(op.f("ix_line_type_asked_at"), "line_type", ["asked_at"])


def downgrade() -> None:
    op.drop_table("line_type")
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_column("line_type_lookup")
