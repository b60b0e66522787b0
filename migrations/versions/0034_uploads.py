"""Uploaded files wait to be looked at, and come into their population in one go."""

import sqlalchemy as sa
from alembic import op

from app.models.base import UtcDateTime

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("population", schema=None) as batch_op:
        batch_op.add_column(sa.Column("columns", sa.JSON(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("revision", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "upload",
        sa.Column("population_id", sa.String(length=26), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_upload_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["population_id"], ["population.id"], name=op.f("fk_upload_population_id_population")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    with op.batch_alter_table("upload", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_upload_client_id"), ["client_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_upload_population_id"), ["population_id"], unique=False
        )
    op.create_table(
        "upload_part",
        sa.Column("upload_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_upload_part_upload_id_upload")
        ),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_part")),
    )
    op.create_table(
        "staged_member",
        sa.Column("run", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("member_id", BIG, nullable=True),
        sa.Column("attributes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("phone_key", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("run", "position", name=op.f("pk_staged_member")),
    )


def downgrade() -> None:
    op.drop_table("staged_member")
    op.drop_table("upload_part")
    op.drop_table("upload")
    with op.batch_alter_table("population", schema=None) as batch_op:
        batch_op.drop_column("revision")
        batch_op.drop_column("columns")
