"""Mails come in: bounces are noted where they belong, and each mail is read once."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mail_taken",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_mail_taken")),
    )
    op.create_index(op.f("ix_mail_taken_at"), "mail_taken", ["at"])
    op.add_column("delivery", sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("endpoint", sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("endpoint", sa.Column("bounce_reason", sa.String(length=500), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("endpoint", schema=None) as batch_op:
        batch_op.drop_column("bounce_reason")
        batch_op.drop_column("bounced_at")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_column("bounced_at")
    op.drop_index(op.f("ix_mail_taken_at"), "mail_taken")
    op.drop_table("mail_taken")
