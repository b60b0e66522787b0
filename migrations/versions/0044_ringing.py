"""Several phones ring: the version before knows no such route."""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    # With all inside it, it means nothing to the version before.
    op.execute(
        "DELETE FROM keyword_rule WHERE route_id IN"
        " (SELECT id FROM route WHERE parent_id IS NOT NULL)"
    )
    op.execute(
        "DELETE FROM route WHERE id IN (WITH RECURSIVE inside(id) AS"
        " (SELECT id FROM route WHERE handler = 'ring'"
        " UNION SELECT route.id FROM route JOIN inside ON route.parent_id = inside.id)"
        " SELECT id FROM inside)"
    )
    op.execute("UPDATE incoming SET handler = NULL WHERE handler = 'ring'")
