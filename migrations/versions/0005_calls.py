"""Keep what a single call is rendered from, and what the person called has said."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(sa.Column("twiml_source", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("speech", sa.String(length=1000), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_column("speech")
        batch_op.drop_column("twiml_source")
