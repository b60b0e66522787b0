"""Communications that go out by themselves, and texts that wait for a chosen hour."""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

_ARMED = sa.text("next_run_at IS NOT NULL")
_HELD = sa.text("state = 'waiting' AND lane_key IS NULL AND send_at IS NOT NULL")
_COLUMNS = ("repeat", "relative", "scheduled_by", "next_run_at")


def upgrade() -> None:
    kinds = (sa.JSON(), sa.JSON(), sa.String(length=254), sa.DateTime(timezone=True))
    for name, kind in zip(_COLUMNS, kinds, strict=True):
        op.add_column("communication", sa.Column(name, kind, nullable=True))
    op.create_index(
        "ix_communication_next_run_at", "communication", ["next_run_at"],
        sqlite_where=_ARMED, postgresql_where=_ARMED,
    )  # fmt: skip
    op.add_column("message", sa.Column("send_at", sa.DateTime(timezone=True), nullable=True))
    for columns in (["send_at"], ["client_id", "send_at"]):
        op.create_index(
            f"ix_message_{'_'.join(columns)}", "message", columns,
            sqlite_where=_HELD, postgresql_where=_HELD,
        )  # fmt: skip
    _create_runs()
    _create_dated_sends()


def _create_runs() -> None:
    op.create_table(
        "communication_run",
        sa.Column("communication_id", sa.String(length=26), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("batch_id", sa.String(length=26), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["communication_id"], ["communication.id"],
            name=op.f("fk_communication_run_communication_id_communication"),
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_communication_run_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_communication_run_batch_id_batch")
        ),
        sa.PrimaryKeyConstraint("communication_id", "key", name=op.f("pk_communication_run")),
    )  # fmt: skip
    for columns in (["client_id"], ["client_id", "at"], ["batch_id"]):
        name = op.f(f"ix_communication_run_{'_'.join(columns)}")
        op.create_index(name, "communication_run", columns)


def _create_dated_sends() -> None:
    op.create_table(
        "dated_send",
        sa.Column("communication_id", sa.String(length=26), nullable=False),
        sa.Column("phone", sa.String(length=64), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["communication_id"], ["communication.id"],
            name=op.f("fk_dated_send_communication_id_communication"),
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_dated_send_client_id_client")
        ),
        sa.PrimaryKeyConstraint("communication_id", "phone", "date", name=op.f("pk_dated_send")),
    )  # fmt: skip
    for columns in (["client_id"], ["client_id", "phone"], ["date"]):
        op.create_index(op.f(f"ix_dated_send_{'_'.join(columns)}"), "dated_send", columns)


def downgrade() -> None:
    op.drop_table("dated_send")
    op.drop_table("communication_run")
    op.drop_index("ix_message_client_id_send_at", table_name="message")
    op.drop_index("ix_message_send_at", table_name="message")
    op.drop_column("message", "send_at")
    op.drop_index("ix_communication_next_run_at", table_name="communication")
    for name in reversed(_COLUMNS):
        op.drop_column("communication", name)
