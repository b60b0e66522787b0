"""Office hours decide by which of the routes inside a route a text or call goes on."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_OUTERMOST = sa.text("parent_id IS NULL")


def upgrade() -> None:
    op.create_table(
        "hours",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("week", sa.JSON(), nullable=False),
        sa.Column("dates", sa.JSON(), nullable=False),
        sa.Column("calendar", sa.Text(), nullable=True),
        sa.Column("holidays", sa.JSON(), nullable=False),
        sa.Column("holidays_until", sa.Date(), nullable=True),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_hours_client_id_client")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hours")),
        sa.UniqueConstraint("client_id", "name", name=op.f("uq_hours_client_id_name")),
    )
    with op.batch_alter_table("hours", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hours_client_id"), ["client_id"], unique=False)
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.add_column(sa.Column("parent_id", sa.String(length=26), nullable=True))
        batch_op.add_column(sa.Column("place", sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column("hours_id", sa.String(length=26), nullable=True))
        batch_op.drop_constraint("uq_route_sender_id_channel", type_="unique")
        batch_op.create_foreign_key(
            batch_op.f("fk_route_parent_id_route"), "route", ["parent_id"], ["id"]
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_route_hours_id_hours"), "hours", ["hours_id"], ["id"]
        )
        batch_op.create_unique_constraint(
            batch_op.f("uq_route_parent_id_place"), ["parent_id", "place"]
        )
        batch_op.create_index(batch_op.f("ix_route_hours_id"), ["hours_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_route_sender_id"), ["sender_id"], unique=False)
    op.create_index(
        "uq_route_sender_id_channel", "route", ["sender_id", "channel"], unique=True,
        sqlite_where=_OUTERMOST, postgresql_where=_OUTERMOST,
    )  # fmt: skip
    for table in ("client", "sender"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("closed_until", UtcDateTime(), nullable=True))
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.add_column(sa.Column("later", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    # Neither a route by hours nor those inside it mean anything to the version before.
    op.execute(
        "DELETE FROM keyword_rule WHERE route_id IN"
        " (SELECT id FROM route WHERE parent_id IS NOT NULL)"
    )
    op.execute("DELETE FROM route WHERE parent_id IS NOT NULL")
    op.execute("DELETE FROM route WHERE handler = 'hours'")
    op.drop_index("uq_route_sender_id_channel", table_name="route")
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.drop_column("later")
    for table in ("client", "sender"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("closed_until")
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_route_hours_id"))
        batch_op.drop_index(batch_op.f("ix_route_sender_id"))
        batch_op.drop_constraint(batch_op.f("uq_route_parent_id_place"), type_="unique")
        batch_op.drop_constraint(batch_op.f("fk_route_hours_id_hours"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("fk_route_parent_id_route"), type_="foreignkey")
        batch_op.create_unique_constraint("uq_route_sender_id_channel", ["sender_id", "channel"])
        batch_op.drop_column("hours_id")
        batch_op.drop_column("place")
        batch_op.drop_column("parent_id")
    op.drop_table("hours")
