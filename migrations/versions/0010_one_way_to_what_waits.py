"""Leave planners one way to what waits in a lane, whatever they believe about the table."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'waiting'")
LIVE = sa.text("state IN ('waiting', 'claimed')")


def _replace(waiting: list[object], live: list[str]) -> None:
    for name in ("ix_message_live", "ix_message_waiting"):
        op.drop_index(name, table_name="message")
    op.create_index(
        "ix_message_waiting",
        "message",
        waiting,
        postgresql_where=WAITING,
        sqlite_where=WAITING,
    )
    op.create_index("ix_message_live", "message", live, postgresql_where=LIVE, sqlite_where=LIVE)


def upgrade() -> None:
    queue = sa.text("coalesce(batch_id, '')")
    _replace(["lane_key", queue, "due_at", "position"], ["to", "lane_key"])


def downgrade() -> None:
    _replace(["lane_key", "batch_id", "due_at", "position"], ["lane_key", "to"])
