"""The entries of a suppression list in their order, for lists read page by page."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("suppression_entry", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_suppression_entry_list_id_id"), ["list_id", "id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("suppression_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_suppression_entry_list_id_id"))
