"""Times that a wrong clock has stamped are found at once, and how clocks differ is shown."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

LOOKED_AT = {
    "postgresql_where": sa.text("check_at IS NOT NULL"),
    "sqlite_where": sa.text("check_at IS NOT NULL"),
}


def upgrade() -> None:
    op.create_table(
        "clock_difference",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_clock_difference")),
    )
    op.drop_index("ix_message_check_at", table_name="message")
    op.create_index("ix_message_check_at", "message", ["state", "check_at"], **LOOKED_AT)


def downgrade() -> None:
    op.drop_index("ix_message_check_at", table_name="message")
    op.create_index("ix_message_check_at", "message", ["check_at"], **LOOKED_AT)
    op.drop_table("clock_difference")
