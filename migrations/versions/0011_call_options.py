"""Let a communication say how long its calls ring and how long Twilio listens for a machine."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("communication", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("call_options", sa.JSON(), nullable=False, server_default=sa.text("'{}'"))
        )


def downgrade() -> None:
    with op.batch_alter_table("communication", schema=None) as batch_op:
        batch_op.drop_column("call_options")
