"""Owners may be told of what nobody has answered within a time that they set."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("client", sa.Column("remind_after", sa.Integer(), nullable=True))
    op.add_column("conversation", sa.Column("reminded_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    # Not by copies of the tables, which would lose their indexes over conditions on SQLite.
    op.drop_column("conversation", "reminded_at")
    op.drop_column("client", "remind_after")
