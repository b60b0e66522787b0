"""Caller IDs being verified, requests to use Twilio, and what each message added to the usage."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LISTED = ("message", "incoming", "delivery")


def upgrade() -> None:
    op.create_table(
        "verification",
        sa.Column("credential_id", sa.String(length=26), nullable=False),
        sa.Column("phone", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=True),
        sa.Column("code", sa.String(length=10), nullable=True),
        sa.Column("call_sid", sa.String(length=34), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("started_by", sa.String(length=254), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_verification_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credential.id"],
            name=op.f("fk_verification_credential_id_credential"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification")),
    )
    op.create_index(op.f("ix_verification_client_id"), "verification", ["client_id"])
    op.create_table(
        "twilio_request",
        sa.Column("requested_by", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("granted_by", sa.String(length=254), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_twilio_request_client_id_client")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_twilio_request")),
    )
    op.create_index(op.f("ix_twilio_request_client_id"), "twilio_request", ["client_id"])
    op.create_table(
        "usage_entry",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("segments_in", sa.Integer(), nullable=False),
        sa.Column("segments_out", sa.Integer(), nullable=False),
        sa.Column("messages_in", sa.Integer(), nullable=False),
        sa.Column("messages_out", sa.Integer(), nullable=False),
        sa.Column("media_in", sa.Integer(), nullable=False),
        sa.Column("media_out", sa.Integer(), nullable=False),
        sa.Column("call_minutes", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(precision=12, scale=5), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_usage_entry_client_id_client")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_entry")),
    )
    op.create_index(op.f("ix_usage_entry_month"), "usage_entry", ["month"])
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "updated_at",
                sa.DateTime(timezone=True),
                nullable=False,
                server_default=sa.func.current_timestamp(),
            )
        )
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.alter_column(
            "updated_at", existing_type=sa.DateTime(timezone=True), server_default=None
        )
    for table in ("incoming", "message"):
        op.create_index(op.f(f"ix_{table}_updated_at"), table, ["updated_at"])
    for table in LISTED:
        op.create_index(
            op.f(f"ix_{table}_client_id_commit_order"), table, ["client_id", "commit_order"]
        )


def downgrade() -> None:
    for table in LISTED:
        op.drop_index(op.f(f"ix_{table}_client_id_commit_order"), table_name=table)
    for table in ("message", "incoming"):
        op.drop_index(op.f(f"ix_{table}_updated_at"), table_name=table)
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.drop_column("updated_at")
    for table in ("usage_entry", "twilio_request", "verification"):
        op.drop_table(table)
