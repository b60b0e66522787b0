"""Nothing is found by the order of commits alone, nor those conversations that nobody has taken."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_TAKEN = sa.text("assigned_id IS NOT NULL")
_IN_ORDER = ("message", "incoming", "delivery")


def upgrade() -> None:
    for table in _IN_ORDER:
        op.drop_index(f"ix_{table}_commit_order", table_name=table)
    op.drop_index("ix_conversation_assigned_id", table_name="conversation")
    op.create_index(
        "ix_conversation_assigned_id", "conversation", ["assigned_id"],
        sqlite_where=_TAKEN, postgresql_where=_TAKEN,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_conversation_assigned_id", table_name="conversation")
    op.create_index("ix_conversation_assigned_id", "conversation", ["assigned_id"])
    for table in _IN_ORDER:
        op.create_index(f"ix_{table}_commit_order", table, ["commit_order"])
