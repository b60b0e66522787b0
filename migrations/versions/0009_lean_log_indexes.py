"""Index the log by what is asked of it: the indexes that others already begin with go."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_message_client_id"))
        batch_op.drop_index(batch_op.f("ix_message_sender_id"))
        batch_op.create_index(
            batch_op.f("ix_message_sender_id_to_created_at"), ["sender_id", "to", "created_at"]
        )
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_incoming_client_id"))


def downgrade() -> None:
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_incoming_client_id"), ["client_id"])
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_message_sender_id_to_created_at"))
        batch_op.create_index(batch_op.f("ix_message_sender_id"), ["sender_id"])
        batch_op.create_index(batch_op.f("ix_message_client_id"), ["client_id"])
