"""Above a number of members that the client sets, somebody else approves a batch first."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.add_column(sa.Column("approval_above", sa.Integer(), nullable=True))
        batch_op.create_check_constraint(
            batch_op.f("ck_client_approval_above_is_possible"),
            "approval_above BETWEEN 0 AND 1000000000",
        )
    op.add_column("api_key", sa.Column("made_by", sa.String(length=254), nullable=True))
    op.execute(
        "UPDATE api_key SET made_by = (SELECT entry.actor FROM audit_entry AS entry"
        " WHERE entry.client_id = api_key.client_id AND entry.action = 'create'"
        " AND entry.target = 'API key ' || api_key.label ORDER BY entry.id DESC LIMIT 1)"
    )
    op.add_column("batch", sa.Column("approval_asked_at", UtcDateTime(), nullable=True))
    op.add_column("batch", sa.Column("decided_by", sa.String(length=254), nullable=True))
    op.add_column("batch", sa.Column("decided_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    # The version before would take the list anew, and ask nobody.
    op.execute(
        "DELETE FROM batch_member WHERE batch_id IN (SELECT id FROM batch"
        " WHERE approval_asked_at IS NOT NULL AND state IN ('awaiting_approval', 'scheduled'))"
    )
    op.execute(
        "DELETE FROM batch_taking WHERE batch_id IN (SELECT id FROM batch"
        " WHERE approval_asked_at IS NOT NULL AND state IN ('awaiting_approval', 'scheduled'))"
    )
    op.execute(
        "UPDATE batch SET state = 'refused', ended_at = CURRENT_TIMESTAMP,"
        " reason = 'It had not begun when Dispatch went back to an earlier version.'"
        " WHERE approval_asked_at IS NOT NULL AND state IN ('awaiting_approval', 'scheduled')"
    )
    op.drop_column("batch", "decided_at")
    op.drop_column("batch", "decided_by")
    op.drop_column("batch", "approval_asked_at")
    op.drop_column("api_key", "made_by")
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_client_approval_above_is_possible"), type_="check")
        batch_op.drop_column("approval_above")
