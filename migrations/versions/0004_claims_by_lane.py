"""Find what waits in a lane, and what needs another look, by indexes over live rows only."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'waiting'")
LIVE = sa.text("state IN ('waiting', 'claimed')")
CHECKED = sa.text("check_at IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lane_key", sa.String(length=64), nullable=False))
        batch_op.create_index(batch_op.f("ix_batch_lane_key_state"), ["lane_key", "state"])
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fingerprint", sa.String(length=32), nullable=True))
        batch_op.drop_index(batch_op.f("ix_message_lane_key_state_batch_id_due_at"))
        batch_op.drop_index(batch_op.f("ix_message_state_check_at"))
    op.create_index(
        "ix_message_waiting",
        "message",
        ["lane_key", "batch_id", "due_at", "position"],
        postgresql_where=WAITING,
        sqlite_where=WAITING,
    )
    op.create_index(
        "ix_message_live",
        "message",
        ["lane_key", "to"],
        postgresql_where=LIVE,
        sqlite_where=LIVE,
    )
    op.create_index(
        "ix_message_check_at",
        "message",
        ["check_at"],
        postgresql_where=CHECKED,
        sqlite_where=CHECKED,
    )


def downgrade() -> None:
    for name in ("ix_message_check_at", "ix_message_live", "ix_message_waiting"):
        op.drop_index(name, table_name="message")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_state_check_at"), ["state", "check_at"])
        batch_op.create_index(
            batch_op.f("ix_message_lane_key_state_batch_id_due_at"),
            ["lane_key", "state", "batch_id", "due_at"],
        )
        batch_op.drop_column("fingerprint")
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_batch_lane_key_state"))
        batch_op.drop_column("lane_key")
