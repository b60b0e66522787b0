"""People of lists are found by their phone.

Revision ID: 0026
Revises: 0025
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

CHUNK = 5_000
LENGTH = 20

member = sa.table(
    "member",
    sa.column("id", sa.BigInteger),
    sa.column("attributes", sa.JSON),
    sa.column("phone_key", sa.String),
)


def upgrade() -> None:
    """Add the digits of each member's phone, and an index over them."""
    op.add_column("member", sa.Column("phone_key", sa.String(LENGTH), nullable=True))
    connection = op.get_bind()
    last = 0
    while True:
        rows = connection.execute(
            sa.select(member.c.id, member.c.attributes)
            .where(member.c.id > last)
            .order_by(member.c.id)
            .limit(CHUNK)
        ).all()
        if not rows:
            break
        last = rows[-1].id
        keys = [
            {"b_id": row.id, "key": _key((row.attributes or {}).get("toPhone"))} for row in rows
        ]
        connection.execute(
            sa.update(member)
            .where(member.c.id == sa.bindparam("b_id"))
            .values(phone_key=sa.bindparam("key")),
            keys,
        )
    op.create_index("ix_member_phone_key", "member", ["phone_key"])


def downgrade() -> None:
    """Take both away."""
    op.drop_index("ix_member_phone_key", "member")
    with op.batch_alter_table("member") as table:
        table.drop_column("phone_key")


def _key(phone: object) -> str | None:
    if not isinstance(phone, str):
        return None
    digits = "".join(one for one in phone[:64] if one in "0123456789")
    if not phone.lstrip().startswith("+") and len(digits) == 10:
        digits = f"1{digits}"
    return digits[:LENGTH] or None
