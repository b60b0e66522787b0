"""What Twilio refuses for everybody holds the sender's lane, whatever the code."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "breaker",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("sender_id", sa.String(length=26), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("phones", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("tripped_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("heals", sa.Boolean(), nullable=False),
        sa.Column("trial_at", UtcDateTime(), nullable=True),
        sa.Column("trial_id", sa.String(length=26), nullable=True),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["sender.id"], name=op.f("fk_breaker_sender_id_sender")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_breaker")),
    )
    with op.batch_alter_table("breaker", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_breaker_sender_id"), ["sender_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_breaker_trial_id"), ["trial_id"], unique=False)


def downgrade() -> None:
    op.drop_table("breaker")
