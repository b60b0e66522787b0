"""Callers leave voice messages: what becomes of each is kept, from the moment they are asked."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_DUE = sa.text("check_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "voicemail",
        sa.Column("incoming_id", sa.String(length=26), nullable=False),
        sa.Column("recording_sid", sa.String(length=34), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("duration", sa.Integer(), nullable=True),
        sa.Column("path", sa.JSON(), nullable=False),
        sa.Column("media_code", sa.String(length=32), nullable=True),
        sa.Column("population_id", sa.String(length=26), nullable=True),
        sa.Column("endpoint_id", sa.String(length=26), nullable=True),
        sa.Column("delete_at_twilio", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("transcriber", sa.String(length=32), nullable=True),
        sa.Column("transcription_state", sa.String(length=32), nullable=True),
        sa.Column("transcription", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("recorded_at", UtcDateTime(), nullable=True),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.Column("mailed_at", UtcDateTime(), nullable=True),
        sa.Column("check_at", UtcDateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_voicemail_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["incoming_id"], ["incoming.id"], name=op.f("fk_voicemail_incoming_id_incoming")
        ),
        sa.ForeignKeyConstraint(
            ["media_code"], ["media.code"], name=op.f("fk_voicemail_media_code_media")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voicemail")),
        sa.UniqueConstraint("recording_sid", name=op.f("uq_voicemail_recording_sid")),
    )
    with op.batch_alter_table("voicemail", schema=None) as batch_op:
        for column in ("client_id", "incoming_id", "media_code"):
            batch_op.create_index(batch_op.f(f"ix_voicemail_{column}"), [column], unique=False)
    op.create_index(
        "ix_voicemail_check_at", "voicemail", ["check_at"],
        sqlite_where=_DUE, postgresql_where=_DUE,
    )  # fmt: skip


def downgrade() -> None:
    # The version before knows no such route; what it would tell of, it could not read.
    op.execute(
        "DELETE FROM delivery_attempt WHERE delivery_id IN"
        " (SELECT id FROM delivery WHERE type LIKE 'voicemail.%')"
    )
    op.execute("DELETE FROM delivery WHERE type LIKE 'voicemail.%'")
    # Its callers hear the greeting, and no tone; routes around it need something in its place.
    route = sa.table(
        "route", sa.column("handler"), sa.column("recording_id"), sa.column("population_id"),
        sa.column("endpoint_id"), sa.column("options", sa.JSON()),
    )  # fmt: skip
    sorry = {"say": "We cannot take your call. Please call again."}
    for is_silent, options in ((route.c.recording_id.is_(None), sorry), (sa.true(), {})):
        op.execute(
            sa.update(route)
            .where(route.c.handler == "voicemail", is_silent)
            .values(
                population_id=None, endpoint_id=None, handler="play_message", options=options
            )
        )  # fmt: skip
    op.execute("UPDATE incoming SET handler = NULL WHERE handler = 'voicemail'")
    op.drop_table("voicemail")
