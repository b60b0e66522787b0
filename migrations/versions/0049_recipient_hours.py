"""Batches may wait for the hours in which people are to be reached, where they are."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

COLUMNS = ("recipient_from", "recipient_to")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("client", sa.Column(name, sa.String(length=5), nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("client", name)
