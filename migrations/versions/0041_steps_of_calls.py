"""A call that has steps keeps its route, its answers and the keys that were pressed."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_COLUMNS = ("flow", "steps", "path")


def upgrade() -> None:
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        for name in _COLUMNS:
            batch_op.add_column(sa.Column(name, sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    # A menu with all inside it means nothing to the version before.
    op.execute(
        "DELETE FROM keyword_rule WHERE route_id IN"
        " (SELECT id FROM route WHERE parent_id IS NOT NULL)"
    )
    op.execute(
        "DELETE FROM route WHERE id IN (WITH RECURSIVE inside(id) AS"
        " (SELECT id FROM route WHERE handler = 'menu'"
        " UNION SELECT route.id FROM route JOIN inside ON route.parent_id = inside.id)"
        " SELECT id FROM inside)"
    )
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        for name in _COLUMNS:
            batch_op.drop_column(name)
