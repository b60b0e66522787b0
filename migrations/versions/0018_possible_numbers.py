"""Hold numbers within what can be reckoned with, and keep what loops have set aside."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

RATE = (0.01, 1000)
COUNT = (1, 1_000_000_000)
POSSIBLE = {
    "sender": {"rate": RATE},
    "credential": {"calls_per_second": RATE},
    "lane": {"rate": RATE},
    "client": {
        "retention_days": (1, 3650),
        "alert_segments": COUNT,
        "alert_call_minutes": COUNT,
    },
    "communication": {
        "validity_period": (1, 36_000),
        "retry_calls": (0, 10),
        "retry_calls_after": (0, 86_400),
    },
    "communication_step": {"after": (0, 30 * 24 * 3600)},
}


def upgrade() -> None:
    op.create_table(
        "set_aside",
        sa.Column("loop", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("loop", "name", name=op.f("pk_set_aside")),
    )
    op.create_index(op.f("ix_set_aside_until"), "set_aside", ["until"])
    with op.batch_alter_table("sender", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_sender_rate_is_positive"), type_="check")
    for table, columns in POSSIBLE.items():
        for column, (least, most) in columns.items():
            # What stands outside was let in by mistake, and would stop everybody's sending.
            named = sa.table(table, sa.column(column))
            op.execute(named.update().where(named.c[column] < least).values({column: least}))
            op.execute(named.update().where(named.c[column] > most).values({column: most}))
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column, (least, most) in columns.items():
                batch_op.create_check_constraint(
                    batch_op.f(f"ck_{table}_{column}_is_possible"),
                    f"{column} BETWEEN {least} AND {most}",
                )


def downgrade() -> None:
    for table, columns in POSSIBLE.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                batch_op.drop_constraint(
                    batch_op.f(f"ck_{table}_{column}_is_possible"), type_="check"
                )
    with op.batch_alter_table("sender", schema=None) as batch_op:
        batch_op.create_check_constraint(batch_op.f("ck_sender_rate_is_positive"), "rate > 0")
    op.drop_index(op.f("ix_set_aside_until"), "set_aside")
    op.drop_table("set_aside")
