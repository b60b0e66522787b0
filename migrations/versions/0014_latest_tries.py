"""Find latest tries, clicks of a batch, users of lists and credentials, flagged texts at once."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("delivery_attempt", schema=None) as batch_op:
        batch_op.add_column(sa.Column("endpoint_id", sa.String(26), nullable=True))
    op.execute(
        "UPDATE delivery_attempt SET endpoint_id ="
        " (SELECT endpoint_id FROM delivery WHERE delivery.id = delivery_attempt.delivery_id)"
    )
    with op.batch_alter_table("delivery_attempt", schema=None) as batch_op:
        batch_op.alter_column("endpoint_id", existing_type=sa.String(26), nullable=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_delivery_attempt_endpoint_id"), "endpoint", ["endpoint_id"], ["id"]
        )
        batch_op.create_index(
            batch_op.f("ix_delivery_attempt_endpoint_id_id"), ["endpoint_id", "id"]
        )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_credential_id"), ["credential_id"])
        batch_op.create_index(
            "ix_message_suppression_list_id",
            ["suppression_list_id"],
            postgresql_where=sa.text("suppression_list_id IS NOT NULL"),
            sqlite_where=sa.text("suppression_list_id IS NOT NULL"),
        )
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.create_index(
            "ix_incoming_flagged",
            ["client_id", "received_at"],
            postgresql_where=sa.text("flagged"),
            sqlite_where=sa.text("flagged = 1"),
        )
    with op.batch_alter_table("click", schema=None) as batch_op:
        batch_op.add_column(sa.Column("batch_id", sa.String(26), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_click_batch_id"), "batch", ["batch_id"], ["id"])
        batch_op.create_index(
            batch_op.f("ix_click_batch_id_is_preview"), ["batch_id", "is_preview"]
        )
    op.execute(
        "UPDATE click SET batch_id = (SELECT message.batch_id FROM link"
        " JOIN message ON message.id = link.message_id WHERE link.code = click.code)"
    )


def downgrade() -> None:
    with op.batch_alter_table("click", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_click_batch_id_is_preview"))
        batch_op.drop_constraint(batch_op.f("fk_click_batch_id"), type_="foreignkey")
        batch_op.drop_column("batch_id")
    with op.batch_alter_table("incoming", schema=None) as batch_op:
        batch_op.drop_index("ix_incoming_flagged")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index("ix_message_suppression_list_id")
        batch_op.drop_index(batch_op.f("ix_message_credential_id"))
    with op.batch_alter_table("delivery_attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_attempt_endpoint_id_id"))
        batch_op.drop_constraint(batch_op.f("fk_delivery_attempt_endpoint_id"), type_="foreignkey")
        batch_op.drop_column("endpoint_id")
