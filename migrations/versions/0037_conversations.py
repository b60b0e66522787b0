"""Conversations: whose turn it is between each number and phone, filled from the log."""

import sqlalchemy as sa
from alembic import op
from ulid import ULID

from app.models.base import UtcDateTime

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

CHUNK = 5_000
OPEN = sa.text("state <> 'closed'")

_conversation = sa.table(
    "conversation",
    *(
        sa.column(name)
        for name in (
            "id", "client_id", "sender_id", "phone", "state", "unread", "last_kind", "last_text",
            "commit_order",
        )
    ),
    *(sa.column(name, UtcDateTime()) for name in ("last_at", "waiting_since", "settled_at")),
)  # fmt: skip
_incoming = sa.table(
    "incoming",
    *(
        sa.column(name, type_)
        for name, type_ in (
            ("id", sa.String), ("client_id", sa.String), ("sender_id", sa.String),
            ("from", sa.String), ("destination", sa.String), ("body", sa.Text),
            ("received_at", UtcDateTime()), ("opt_out", sa.String),
            ("reaction", sa.JSON(none_as_null=True)),
        )
    ),
)  # fmt: skip
_message = sa.table(
    "message",
    *(
        sa.column(name, type_)
        for name, type_ in (
            ("sender_id", sa.String), ("to", sa.String), ("body", sa.Text),
            ("destination", sa.String), ("direction", sa.String), ("batch_id", sa.String),
            ("sid", sa.String), ("created_at", UtcDateTime()),
        )
    ),
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "conversation",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("sender_id", sa.String(length=26), nullable=False),
        sa.Column("phone", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("assigned_id", sa.String(length=26), nullable=True),
        sa.Column("unread", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("last_kind", sa.String(length=32), nullable=False),
        sa.Column("last_text", sa.Text(), nullable=True),
        sa.Column("waiting_since", UtcDateTime(), nullable=True),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.Column("commit_order", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_conversation_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["sender_id"], ["sender.id"], name=op.f("fk_conversation_sender_id_sender")
        ),
        sa.ForeignKeyConstraint(
            ["assigned_id"], ["user.id"], name=op.f("fk_conversation_assigned_id_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation")),
        sa.UniqueConstraint("sender_id", "phone", name=op.f("uq_conversation_sender_id_phone")),
    )
    op.create_table(
        "conversation_note",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("conversation_id", sa.String(length=26), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_conversation_note_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"],
            name=op.f("fk_conversation_note_conversation_id_conversation"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation_note")),
    )  # fmt: skip
    op.add_column("message", sa.Column("author", sa.String(length=254), nullable=True))
    _fill(op.get_bind())
    for columns in (
        ["commit_order"], ["assigned_id"], ["client_id", "commit_order"],
        ["client_id", "state", "last_at"], ["client_id", "last_at"], ["client_id", "phone"],
    ):  # fmt: skip
        op.create_index(op.f(f"ix_conversation_{'_'.join(columns)}"), "conversation", columns)
    op.create_index(
        "ix_conversation_open", "conversation", ["client_id", "commit_order"],
        postgresql_where=OPEN, sqlite_where=OPEN,
    )  # fmt: skip
    for columns in (["conversation_id", "at"], ["client_id", "at"]):
        name = op.f(f"ix_conversation_note_{'_'.join(columns)}")
        op.create_index(name, "conversation_note", columns)


def downgrade() -> None:
    # Not by a copy of the table, which would lose its indexes over expressions on SQLite.
    op.drop_column("message", "author")
    op.drop_table("conversation_note")
    op.drop_table("conversation")


def _fill(connection: sa.Connection) -> None:
    """Make a conversation of each number and phone of which something came.

    A text that nothing single was sent after waits; who sent that, a person or a system, nobody
    knows any more. Nothing is unread: people had the inbox.
    """
    rows = connection.execute(_last_words().execution_options(stream_results=True))
    for some in rows.partitions(CHUNK):
        made = [_made(row) for row in some]
        connection.execute(
            sa.insert(_conversation).values(commit_order=_order(connection)), made
        )  # fmt: skip


def _last_words() -> sa.Select:
    came, went = _incoming.c, _message.c
    hidden = sa.and_(came.destination == "voice", ~came["from"].like("+%"))
    newest = sa.func.row_number().over(
        partition_by=(came.sender_id, came["from"]), order_by=(came.received_at.desc(), came.id)
    )
    asks = sa.and_(came.destination == "sms", came.opt_out.is_(None), came.reaction.is_(None))
    asked = sa.func.max(sa.case((asks, came.received_at))).over(
        partition_by=(came.sender_id, came["from"])
    )
    last = (
        sa.select(*_incoming.c, newest.label("place"), asked.label("asked"))
        .where(sa.not_(hidden))
        .subquery()
    )
    answers = (
        sa.select(went.sender_id, went.to, sa.func.max(went.created_at).label("at"))
        .where(
            went.direction == "outbound-api", went.destination == "sms",
            went.batch_id.is_(None), went.sid.is_not(None),
        )
        .group_by(went.sender_id, went.to)
        .subquery()
    )  # fmt: skip
    return (
        sa.select(
            last.c.client_id, last.c.sender_id, last.c["from"].label("phone"), last.c.destination,
            last.c.body, last.c.reaction, last.c.received_at,
            sa.type_coerce(last.c.asked, UtcDateTime()).label("asked"),
            sa.type_coerce(answers.c.at, UtcDateTime()).label("answered"),
        )
        .join_from(
            last, answers,
            sa.and_(answers.c.sender_id == last.c.sender_id, answers.c.to == last.c["from"]),
            isouter=True,
        )
        .where(last.c.place == 1)
    )  # fmt: skip


def _made(row: sa.Row) -> dict[str, object]:
    is_call = row.destination == "voice"
    waits = row.asked is not None and (row.answered is None or row.answered < row.asked)
    settled = "answered" if row.asked is not None and row.answered is not None else "closed"
    return {
        "id": str(ULID()),
        "client_id": row.client_id,
        "sender_id": row.sender_id,
        "phone": row.phone,
        "state": "waiting" if waits else settled,
        "unread": 0,
        "last_at": row.received_at,
        "last_kind": "call" if is_call else "reaction" if row.reaction else "in",
        "last_text": None if is_call else row.body,
        "waiting_since": row.asked if waits else None,
        "settled_at": None if waits else row.answered,
    }


def _order(connection: sa.Connection) -> sa.ColumnElement[int]:
    if connection.dialect.name == "postgresql":
        return sa.literal_column("next_commit_order()")
    return sa.literal_column(
        "max((SELECT coalesce(max(commit_order), 0) FROM conversation) + 1,"
        " CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER))"
    )
