"""Whoever is not answered gets a text: which, where the call has come to, and when."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_DUE = sa.text("text_back_at IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.add_column(sa.Column("text_back_id", sa.String(length=26), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_route_text_back_id_template"), "template", ["text_back_id"], ["id"]
        )
        batch_op.create_index(batch_op.f("ix_route_text_back_id"), ["text_back_id"], unique=False)
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.add_column(sa.Column("text_back_id", sa.String(length=26), nullable=True))
        batch_op.add_column(sa.Column("text_back_at", UtcDateTime(), nullable=True))
    op.create_index(
        "ix_incoming_text_back_at", "incoming", ["text_back_at"],
        sqlite_where=_DUE, postgresql_where=_DUE,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_incoming_text_back_at", table_name="incoming")
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.drop_column("text_back_at")
        batch_op.drop_column("text_back_id")
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_route_text_back_id"))
        batch_op.drop_constraint(batch_op.f("fk_route_text_back_id_template"), type_="foreignkey")
        batch_op.drop_column("text_back_id")
