"""Find old entries of usage by client: what a client keeps long is not looked at for others."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("usage_entry", schema=None) as batch_op:
        batch_op.create_index("ix_usage_entry_client_id_month", ["client_id", "month"])
        batch_op.drop_index("ix_usage_entry_month")


def downgrade() -> None:
    with op.batch_alter_table("usage_entry", schema=None) as batch_op:
        batch_op.create_index("ix_usage_entry_month", ["month"])
        batch_op.drop_index("ix_usage_entry_client_id_month")
