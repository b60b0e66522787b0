"""That a phone cannot be reached is another fact than that its person does not want texts.

What Twilio said (``source`` is twilio) is told apart by the log, as far as it goes back; the rest
stays what it was taken for, an opt-out.
"""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

TABLE = "suppression_entry"
BINDING, UNREACHABLE = "ix_suppression_entry_binding", "ix_suppression_entry_unreachable"
OLD, NEW = (
    ("list_id", "phone", "scope", "source"),
    ("list_id", "phone", "scope", "source", "reason"),
)
CODES = (21211, 21265, 21268, 21614, 21635, 30004, 30005, 30006, 63024)
WISHES = (21610, 63033)
TRIED_AGAIN_AFTER = timedelta(days=180)

_entry = sa.table(
    TABLE, sa.column("id"), sa.column("list_id"), sa.column("phone"), sa.column("scope"),
    sa.column("source"), sa.column("reason"), sa.column("binding"), sa.column("error_code"),
    sa.column("since", UtcDateTime()), sa.column("until", UtcDateTime()),
)  # fmt: skip
_list = sa.table("suppression_list", sa.column("id"), sa.column("client_id"))
_message = sa.table(
    "message", sa.column("client_id"), sa.column("to"), sa.column("error_code"),
    sa.column("sender_id"),
)  # fmt: skip
_sender = sa.table("sender", sa.column("id"), sa.column("service_id"))


def upgrade() -> None:
    op.drop_index(BINDING, table_name=TABLE)
    with op.batch_alter_table(TABLE, schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("reason", sa.String(32), nullable=False, server_default="opted_out")
        )
        batch_op.add_column(sa.Column("error_code", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("until", UtcDateTime(), nullable=True))
        batch_op.drop_constraint(batch_op.f(_name(OLD)), type_="unique")
        batch_op.create_unique_constraint(batch_op.f(_name(NEW)), list(NEW))
    _index(BINDING, "binding", "binding = 1")
    _index(UNREACHABLE, "reason = 'unreachable'", "reason = 'unreachable'")
    _tell_apart(op.get_bind())


def _tell_apart(connection: sa.Connection) -> None:
    """Give entries the code of the text that made them, where no text tells of a STOP."""
    code = _message.c.error_code
    service = sa.select(_sender.c.id).where(_sender.c.service_id == _entry.c.scope)
    wishes = sa.func.sum(sa.case((code.in_(WISHES), 1), else_=0))
    told = (
        sa.select(_entry.c.id, _entry.c.since, sa.func.max(code).label("code"))
        .join_from(_entry, _list, _list.c.id == _entry.c.list_id)
        .join(
            _message,
            sa.and_(
                _message.c.client_id == _list.c.client_id,
                _message.c.to == _entry.c.phone,
                code.in_((*CODES, *WISHES)),
                sa.or_(_message.c.sender_id == _entry.c.scope, _message.c.sender_id.in_(service)),
            ),
        )
        .where(_entry.c.source == "twilio", sa.not_(_entry.c.binding))
        .group_by(_entry.c.id, _entry.c.since)
        .having(wishes == 0)
    )
    changed = [
        {"key": row.id, "code": row.code, "until": row.since + TRIED_AGAIN_AFTER}
        for row in connection.execute(told)
    ]
    if changed:
        connection.execute(
            sa.update(_entry)
            .where(_entry.c.id == sa.bindparam("key"))
            .values(
                reason="unreachable",
                error_code=sa.bindparam("code"),
                until=sa.bindparam("until", type_=UtcDateTime()),
            ),
            changed,
        )


def downgrade() -> None:
    op.drop_index(UNREACHABLE, table_name=TABLE)
    op.drop_index(BINDING, table_name=TABLE)
    other = _entry.alias("other")
    op.execute(
        sa.delete(_entry).where(
            _entry.c.reason == "unreachable",
            sa.exists().where(
                other.c.reason == "opted_out",
                *(other.c[name] == _entry.c[name] for name in OLD),
            ),
        )
    )
    with op.batch_alter_table(TABLE, schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f(_name(NEW)), type_="unique")
        batch_op.create_unique_constraint(batch_op.f(_name(OLD)), list(OLD))
        for column in ("until", "error_code", "reason"):
            batch_op.drop_column(column)
    _index(BINDING, "binding", "binding = 1")


def _name(columns: tuple[str, ...]) -> str:
    return f"uq_{TABLE}_{'_'.join(columns)}"


def _index(name: str, postgresql: str, sqlite: str) -> None:
    open_ = " AND lifted_at IS NULL"
    op.create_index(
        name, TABLE, ["phone"],
        postgresql_where=sa.text(postgresql + open_), sqlite_where=sa.text(sqlite + open_),
    )  # fmt: skip
