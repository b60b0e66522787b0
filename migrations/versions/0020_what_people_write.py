"""What people really write: words of other languages, reactions, channels, and “Stop.”."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BINDING = "ix_suppression_entry_binding"


def upgrade() -> None:
    op.add_column(
        "client", sa.Column("languages", sa.JSON(), nullable=False, server_default='["en"]')
    )
    op.add_column("client", sa.Column("opt_words", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("incoming", sa.Column("channel", sa.String(32), nullable=True))
    op.add_column("incoming", sa.Column("reaction", sa.JSON(), nullable=True))
    op.add_column(
        "suppression_entry",
        sa.Column("binding", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index(
        BINDING,
        "suppression_entry",
        ["phone"],
        postgresql_where=sa.text("binding AND lifted_at IS NULL"),
        sqlite_where=sa.text("binding = 1 AND lifted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(BINDING, table_name="suppression_entry")
    for table, column in (
        ("suppression_entry", "binding"), ("incoming", "reaction"), ("incoming", "channel"),
        ("client", "opt_words"), ("client", "languages"),
    ):  # fmt: skip
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column(column)
