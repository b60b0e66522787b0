"""A replay of many waits behind what is new: an index of everything else that is due."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FRESH = sa.text("state = 'pending' AND trigger <> 'replay'")


def upgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_fresh",
            ["endpoint_id", "next_attempt_at"],
            postgresql_where=FRESH,
            sqlite_where=FRESH,
        )


def downgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_fresh")
