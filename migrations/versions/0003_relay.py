"""What the relay needs: mails of our own belong to no client; who asked for the next try."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BY_HAND = sa.text("state = 'pending' AND trigger IN ('manual', 'ping')")
ENDPOINT_NAME = ["client_id", "kind", "name"]


def upgrade() -> None:
    with op.batch_alter_table("endpoint", schema=None) as batch_op:
        batch_op.alter_column("client_id", existing_type=sa.String(26), nullable=True)
        batch_op.drop_index("ix_endpoint_client_id_kind_name")
        batch_op.create_index(
            "ix_endpoint_client_id_kind_name",
            ENDPOINT_NAME,
            unique=True,
            postgresql_nulls_not_distinct=True,
        )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.alter_column("client_id", existing_type=sa.String(26), nullable=True)
        batch_op.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(
            sa.Column("trigger", sa.String(32), nullable=False, server_default="auto")
        )
        batch_op.add_column(sa.Column("requested_by", sa.String(254), nullable=True))
        batch_op.create_index(
            "ix_delivery_by_hand",
            ["next_attempt_at"],
            postgresql_where=BY_HAND,
            sqlite_where=BY_HAND,
        )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.alter_column("failures", server_default=None)
        batch_op.alter_column("trigger", server_default=None)


def downgrade() -> None:
    # Mails of our own have no place in the older tables.
    op.execute(
        "DELETE FROM delivery_attempt WHERE delivery_id IN"
        " (SELECT id FROM delivery WHERE client_id IS NULL)"
    )
    op.execute("DELETE FROM delivery WHERE client_id IS NULL")
    op.execute("DELETE FROM endpoint WHERE client_id IS NULL")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_by_hand")
        batch_op.drop_column("requested_by")
        batch_op.drop_column("trigger")
        batch_op.drop_column("failures")
        batch_op.alter_column("client_id", existing_type=sa.String(26), nullable=False)
    with op.batch_alter_table("endpoint", schema=None) as batch_op:
        batch_op.drop_index("ix_endpoint_client_id_kind_name")
        batch_op.create_index("ix_endpoint_client_id_kind_name", ENDPOINT_NAME, unique=True)
        batch_op.alter_column("client_id", existing_type=sa.String(26), nullable=False)
