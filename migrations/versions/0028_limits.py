"""Clients have limits, and what they spend is counted by the minute and the hour."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

LIMITS = {
    "limit_segments_hour": 10_000,
    "limit_segments_day": 50_000,
    "limit_minutes_hour": 600,
    "limit_minutes_day": 3_000,
    "limit_phone_hour": 30,
}
HELD = ("texts_held_until", "calls_held_until")


def upgrade() -> None:
    op.create_table(
        "spending",
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("seconds", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=26), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("call_minutes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_spending_client_id_client")
        ),
        sa.PrimaryKeyConstraint("client_id", "seconds", "at", "source", name=op.f("pk_spending")),
    )
    op.create_index(op.f("ix_spending_at"), "spending", ["at"])
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("alert_halts", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        for name in HELD:
            batch_op.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        for name, most in LIMITS.items():
            batch_op.add_column(
                sa.Column(name, sa.Integer(), nullable=True, server_default=str(most))
            )
            batch_op.create_check_constraint(
                batch_op.f(f"ck_client_{name}_is_possible"), f"{name} BETWEEN 1 AND 1000000000"
            )


def downgrade() -> None:
    with op.batch_alter_table("client", schema=None) as batch_op:
        for name in LIMITS:
            batch_op.drop_constraint(batch_op.f(f"ck_client_{name}_is_possible"), type_="check")
            batch_op.drop_column(name)
        for name in (*HELD, "alert_halts"):
            batch_op.drop_column(name)
    op.drop_index(op.f("ix_spending_at"), "spending")
    op.drop_table("spending")
