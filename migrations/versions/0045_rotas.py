"""Rotas: whose phone rings depends on who is on duty."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rota",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("people", sa.JSON(), nullable=False),
        sa.Column("weeks", sa.JSON(), nullable=False),
        sa.Column("begins", sa.Date(), nullable=True),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_rota_client_id_client")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota")),
        sa.UniqueConstraint("client_id", "name", name=op.f("uq_rota_client_id_name")),
    )
    with op.batch_alter_table("rota", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rota_client_id"), ["client_id"], unique=False)
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rota_id", sa.String(length=26), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_route_rota_id_rota"), "rota", ["rota_id"], ["id"]
        )
        batch_op.create_index(batch_op.f("ix_route_rota_id"), ["rota_id"], unique=False)


def downgrade() -> None:
    # Such a route, with all inside it, means nothing to the version before.
    op.execute(
        "DELETE FROM route WHERE id IN (WITH RECURSIVE inside(id) AS"
        " (SELECT id FROM route WHERE rota_id IS NOT NULL"
        " UNION SELECT route.id FROM route JOIN inside ON route.parent_id = inside.id)"
        " SELECT id FROM inside)"
    )
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_route_rota_id"))
        batch_op.drop_constraint(batch_op.f("fk_route_rota_id_rota"), type_="foreignkey")
        batch_op.drop_column("rota_id")
    op.drop_table("rota")
