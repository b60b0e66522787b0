"""Keep why a member of a batch gets nothing, where that was told when the batch was started."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

REFUSED = sa.text("refusal IS NOT NULL")


def upgrade() -> None:
    op.add_column("batch_member", sa.Column("refusal", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(
        "ix_batch_member_refused",
        "batch_member",
        ["batch_id"],
        postgresql_where=REFUSED,
        sqlite_where=REFUSED,
    )


def downgrade() -> None:
    op.drop_index("ix_batch_member_refused", table_name="batch_member")
    with op.batch_alter_table("batch_member", schema=None) as batch_op:
        batch_op.drop_column("refusal")
