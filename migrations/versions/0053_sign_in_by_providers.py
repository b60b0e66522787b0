"""People sign in by providers (OpenID Connect), whose groups give roles and take them."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("user_id", sa.String(26), nullable=False),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_identity_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_identity_issuer_subject")),
        sa.UniqueConstraint("user_id", "issuer", name=op.f("uq_identity_user_id_issuer")),
    )
    op.create_table(
        "used_once",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_used_once")),
    )
    op.create_index(op.f("ix_used_once_ends_at"), "used_once", ["ends_at"])
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.add_column(sa.Column("support_given_by", sa.String(255), nullable=True))
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.add_column(sa.Column("given_by", sa.String(255), nullable=True))
        batch_op.add_column(sa.Column("role_before", sa.String(32), nullable=True))
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("identity_id", sa.String(26), nullable=True))
        batch_op.add_column(sa.Column("provider_session", sa.String(255), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_staff_session_identity_id_identity"), "identity", ["identity_id"], ["id"]
        )
        batch_op.create_index(op.f("ix_staff_session_identity_id"), ["identity_id"])


def downgrade() -> None:
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.drop_index(op.f("ix_staff_session_identity_id"))
        batch_op.drop_constraint(op.f("fk_staff_session_identity_id_identity"), type_="foreignkey")
        batch_op.drop_column("provider_session")
        batch_op.drop_column("identity_id")
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.drop_column("role_before")
        batch_op.drop_column("given_by")
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.drop_column("support_given_by")
    op.drop_table("used_once")
    op.drop_table("identity")
