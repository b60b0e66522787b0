"""A credential keeps the shared keys with which Twilio signs its newest webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.add_column(sa.Column("webhook_key", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("next_webhook_key", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.drop_column("next_webhook_key")
        batch_op.drop_column("webhook_key")
