"""A saved credential names where it may go; an endpoint that moved waits for a test."""

from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

PORTS = {"https": 443, "http": 80}


def upgrade() -> None:
    op.add_column(
        "saved_credential", sa.Column("origins", sa.JSON(), nullable=False, server_default="[]")
    )
    for table, column in (("saved_credential", "origins_chosen"), ("endpoint", "unproven")):
        op.add_column(
            table, sa.Column(column, sa.Boolean(), nullable=False, server_default=sa.false())
        )
    _note_those_in_use()


def _note_those_in_use() -> None:
    """Let each credential go on to where callbacks send it now."""
    saved = sa.table("saved_credential", sa.column("id"), sa.column("origins", sa.JSON()))
    endpoint = sa.table("endpoint", sa.column("saved_credential_id"), sa.column("url"))
    used: dict[str, dict[str, None]] = {}
    rows = op.get_bind().execute(
        sa.select(endpoint.c.saved_credential_id, endpoint.c.url).where(
            endpoint.c.saved_credential_id.is_not(None)
        )
    )
    for credential, url in rows:
        used.setdefault(credential, {})[_origin(url)] = None
    for credential, origins in used.items():
        op.get_bind().execute(
            saved.update().where(saved.c.id == credential).values(origins=list(origins))
        )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    port = "" if parts.port in (None, PORTS.get(scheme)) else f":{parts.port}"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{port}"


def downgrade() -> None:
    for table, column in (
        ("endpoint", "unproven"), ("saved_credential", "origins_chosen"),
        ("saved_credential", "origins"),
    ):  # fmt: skip
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column(column)
