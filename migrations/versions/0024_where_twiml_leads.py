"""Clients say where their TwiML may lead; what saved templates use is let stand, and told."""

import json
import re
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_HOST = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?=[\s:/?#;<\"'.]|$)"
_WEB = re.compile(
    r"(?:(?:action|url|[A-Za-z]*Url|[A-Za-z]*Callback|[A-Za-z]*CallbackUrl)\s*=\s*[\"']\s*"
    rf"|<Redirect[^>]*>\s*)(?:https?|wss)://{_HOST}"
)
_SIP = re.compile(rf"\bsips?:(?:[^@\s<>\"']+@)?{_HOST}", re.IGNORECASE)
TELL = "tell of twiml_hosts: "
"""The bookmark by which app.maintenance.news knows whose owner is to be told."""

BOOKMARK = sa.table("bookmark", sa.column("name"), sa.column("at", sa.DateTime(timezone=True)))


def upgrade() -> None:
    with op.batch_alter_table("client", schema=None) as batch_op:
        for name in ("twiml_hosts", "sip_domains"):
            batch_op.add_column(
                sa.Column(name, sa.JSON(), nullable=False, server_default=sa.text("'[]'"))
            )
    connection = op.get_bind()
    found: dict[str, tuple[set[str], set[str]]] = {}
    # The version in use, and those that waiting batches have pinned: all of a call's templates.
    rows = connection.execute(
        sa.text(
            "SELECT t.client_id, v.body FROM template t"
            " JOIN template_version v ON v.template_id = t.id WHERE t.kind = 'voice'"
        )
    )
    for client_id, body in rows:
        hosts, domains = found.setdefault(client_id, (set(), set()))
        hosts.update(host.lower() for host in _WEB.findall(body))
        domains.update(domain.lower() for domain in _SIP.findall(body))
    for client_id, (hosts, domains) in found.items():
        if not hosts and not domains:
            continue
        connection.execute(
            sa.text(
                "UPDATE client SET twiml_hosts = :hosts, sip_domains = :domains WHERE id = :id"
            ),
            {
                "hosts": json.dumps(sorted(hosts)),
                "domains": json.dumps(sorted(domains)),
                "id": client_id,
            },
        )
        connection.execute(BOOKMARK.insert().values(name=TELL + client_id, at=datetime.now(UTC)))


def downgrade() -> None:
    op.execute(BOOKMARK.delete().where(BOOKMARK.c.name.startswith(TELL)))
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_column("sip_domains")
        batch_op.drop_column("twiml_hosts")
