"""Give an event its place in its endpoint's order when it is claimed, beside its stored body."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ENDING = "',\"sequence\":' || sequence || '}}'"
WITH_SEQUENCE = f"sequence IS NOT NULL AND body LIKE '%' || {ENDING}"


def upgrade() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.alter_column("sequence", existing_type=sa.Integer(), nullable=True)
    op.execute(
        f"UPDATE delivery SET body = substr(body, 1, length(body) - length({ENDING})) || '}}}}'"  # noqa: S608
        f" WHERE {WITH_SEQUENCE}"
    )


def downgrade() -> None:
    # What nobody has claimed yet had its place from the beginning: after all that were claimed.
    op.execute(
        "UPDATE delivery SET sequence = (SELECT next_sequence FROM endpoint"
        " WHERE endpoint.id = delivery.endpoint_id) + (SELECT count(*) FROM delivery AS before"
        " WHERE before.endpoint_id = delivery.endpoint_id AND before.sequence IS NULL"
        " AND before.id < delivery.id) WHERE sequence IS NULL"
    )
    op.execute(
        "UPDATE endpoint SET next_sequence = (SELECT coalesce(max(sequence), 0) + 1 FROM delivery"
        " WHERE delivery.endpoint_id = endpoint.id)"
        " WHERE EXISTS (SELECT 1 FROM delivery WHERE delivery.endpoint_id = endpoint.id"
        " AND delivery.sequence >= endpoint.next_sequence)"
    )
    op.execute(
        f"UPDATE delivery SET body = substr(body, 1, length(body) - 2) || {ENDING}"  # noqa: S608
        " WHERE body LIKE '%}}'"
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.alter_column("sequence", existing_type=sa.Integer(), nullable=False)
