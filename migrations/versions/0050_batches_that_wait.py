"""The few batches that wait for approval are found without reading all of a client's."""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

_WAITS = sa.text("state = 'awaiting_approval'")


def upgrade() -> None:
    op.create_index(
        "ix_batch_awaiting", "batch", ["client_id"], sqlite_where=_WAITS, postgresql_where=_WAITS
    )


def downgrade() -> None:
    op.drop_index("ix_batch_awaiting", table_name="batch")
