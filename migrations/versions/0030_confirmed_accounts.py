"""Know which Twilio accounts Twilio has confirmed; existing ones count as such until it says no."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("unconfirmed_since", "asked_at"):
        op.add_column("credential", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.drop_column("asked_at")
        batch_op.drop_column("unconfirmed_since")
