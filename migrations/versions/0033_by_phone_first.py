"""Leave planners one way to what a phone had, and keep out of indexes what has no batch."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

BY_PHONE = "ix_message_to_client_id_created_at"
BY_CLIENT = "ix_message_client_id_to_created_at"
PARTIAL = {
    "ix_message_batch_id_state_status": ["batch_id", "state", "status"],
    "ix_message_communication_id": ["communication_id"],
}


def upgrade() -> None:
    for name, columns in PARTIAL.items():
        op.drop_index(op.f(name), table_name="message")
        where = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(name, "message", columns, postgresql_where=where, sqlite_where=where)
    op.create_index(op.f(BY_PHONE), "message", ["to", "client_id", "created_at"])
    op.drop_index(op.f(BY_CLIENT), table_name="message")


def downgrade() -> None:
    op.create_index(op.f(BY_CLIENT), "message", ["client_id", "to", "created_at"])
    op.drop_index(op.f(BY_PHONE), table_name="message")
    for name, columns in PARTIAL.items():
        op.drop_index(name, table_name="message")
        op.create_index(op.f(name), "message", columns)
