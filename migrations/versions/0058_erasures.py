"""Erasures are carried out in pieces, finished by the clock, and repeated after a restore."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

_PARTIAL = {"open": ("at", "done_at IS NULL"), "again": ("repeat_at", "repeat_at IS NOT NULL")}


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("phone", sa.String(length=64), nullable=True),
        sa.Column("by", sa.String(length=254), nullable=False),
        sa.Column("receipt", sa.JSON(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("repeat_at", UtcDateTime(), nullable=True),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], op.f("fk_erasure_client_id_client")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
    )
    op.create_index(op.f("ix_erasure_client_id"), "erasure", ["client_id"])
    for name, (column, condition) in _PARTIAL.items():
        op.create_index(
            f"ix_erasure_{name}", "erasure", [column],
            postgresql_where=sa.text(condition), sqlite_where=sa.text(condition),
        )  # fmt: skip


def downgrade() -> None:
    op.drop_table("erasure")
