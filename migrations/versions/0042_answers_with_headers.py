"""Answers that are kept for repeats keep their headers, such as the place of what was made."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.add_column(sa.Column("headers", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    # The version before takes every answer for one with 201 and nothing beside.
    op.execute("DELETE FROM idempotency_key WHERE status <> 201")
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.drop_column("headers")
