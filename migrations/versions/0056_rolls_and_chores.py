"""Large lists are exchanged in one moment and go in pieces; so does other work on many rows."""

from contextlib import AbstractContextManager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

from app.models.base import UtcDateTime

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ENTRY = "suppression_entry"
_PARTIAL = {
    "binding": ("binding AND lifted_at IS NULL", "binding = 1 AND lifted_at IS NULL"),
    "unreachable": ("reason = 'unreachable' AND lifted_at IS NULL",) * 2,
}


def upgrade() -> None:
    op.create_table(
        "chore",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=26), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("after", sa.String(length=26), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chore")),
    )
    op.create_index(op.f("ix_chore_due_at"), "chore", ["due_at"])
    op.create_index(op.f("ix_chore_subject"), "chore", ["subject"])
    _populations()
    _takings("population_id", "roll")
    op.drop_table("staged_member")
    with op.batch_alter_table("upload_part", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_upload_part_upload_id_upload"), type_="foreignkey")
    with _entries() as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_suppression_entry_list_id"), type_="foreignkey")
    _index()


def _populations() -> None:
    with op.batch_alter_table("population", schema=None) as batch_op:
        batch_op.add_column(sa.Column("roll", sa.String(length=26), nullable=True))
        batch_op.add_column(sa.Column("reserved_until", UtcDateTime(), nullable=True))
    op.execute("UPDATE population SET roll = id")
    with op.batch_alter_table("population", schema=None) as batch_op:
        batch_op.alter_column("roll", existing_type=sa.String(length=26), nullable=False)
        batch_op.create_unique_constraint(batch_op.f("uq_population_roll"), ["roll"])
    op.drop_index(op.f("ix_member_population_id_id"), table_name="member")
    with op.batch_alter_table("member", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_member_population_id"), type_="foreignkey")
        batch_op.alter_column(
            "population_id", new_column_name="roll", existing_type=sa.String(length=26),
            existing_nullable=False,
        )  # fmt: skip
    op.create_index(op.f("ix_member_roll_id"), "member", ["roll", "id"])


def _takings(before: str, after: str) -> None:
    op.drop_index(op.f(f"ix_batch_taking_{before}"), table_name="batch_taking")
    with op.batch_alter_table("batch_taking", schema=None) as batch_op:
        if before == "population_id":
            batch_op.drop_constraint(
                batch_op.f("fk_batch_taking_population_id_population"), type_="foreignkey"
            )
        batch_op.alter_column(
            before, new_column_name=after, existing_type=sa.String(length=26),
            existing_nullable=False,
        )  # fmt: skip
    if after == "population_id":
        with op.batch_alter_table("batch_taking", schema=None) as batch_op:
            batch_op.create_foreign_key(
                batch_op.f("fk_batch_taking_population_id_population"), "population",
                ["population_id"], ["id"],
            )  # fmt: skip
    op.create_index(op.f(f"ix_batch_taking_{after}"), "batch_taking", [after])


def _entries() -> AbstractContextManager[BatchOperations]:
    """Rebuild the entries, without the indexes over some of them that reflection cannot read."""
    for name in _PARTIAL:
        op.drop_index(f"ix_{ENTRY}_{name}", table_name=ENTRY)
    return op.batch_alter_table(ENTRY, schema=None)


def _index() -> None:
    for name, (postgresql, sqlite) in _PARTIAL.items():
        op.create_index(
            f"ix_{ENTRY}_{name}", ENTRY, ["phone"],
            postgresql_where=sa.text(postgresql), sqlite_where=sa.text(sqlite),
        )  # fmt: skip


def downgrade() -> None:
    _without_leftovers()
    with _entries() as batch_op:
        batch_op.create_foreign_key(
            batch_op.f("fk_suppression_entry_list_id"), "suppression_list",
            ["list_id"], ["id"],
        )  # fmt: skip
    _index()
    with op.batch_alter_table("upload_part", schema=None) as batch_op:
        batch_op.create_foreign_key(
            batch_op.f("fk_upload_part_upload_id_upload"), "upload", ["upload_id"], ["id"]
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
    _takings("roll", "population_id")
    op.drop_index(op.f("ix_member_roll_id"), table_name="member")
    with op.batch_alter_table("member", schema=None) as batch_op:
        batch_op.alter_column(
            "roll", new_column_name="population_id", existing_type=sa.String(length=26),
            existing_nullable=False,
        )  # fmt: skip
    with op.batch_alter_table("member", schema=None) as batch_op:
        batch_op.create_foreign_key(
            batch_op.f("fk_member_population_id"), "population", ["population_id"],
            ["id"],
        )  # fmt: skip
    op.create_index(op.f("ix_member_population_id_id"), "member", ["population_id", "id"])
    with op.batch_alter_table("population", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_population_roll"), type_="unique")
        batch_op.drop_column("reserved_until")
        batch_op.drop_column("roll")
    op.drop_table("chore")


def _without_leftovers() -> None:
    """Let what names nothing any more go, and members name their population again."""
    for statement in (
        "DELETE FROM batch_taking WHERE roll NOT IN (SELECT roll FROM population)",
        "DELETE FROM member WHERE roll NOT IN (SELECT roll FROM population)",
        "UPDATE member SET roll ="
        " (SELECT population.id FROM population WHERE population.roll = member.roll)",
        "UPDATE batch_taking SET roll ="
        " (SELECT population.id FROM population WHERE population.roll = batch_taking.roll)",
        "DELETE FROM suppression_entry WHERE list_id NOT IN (SELECT id FROM suppression_list)",
        "DELETE FROM upload_part WHERE upload_id NOT IN (SELECT id FROM upload)",
    ):
        op.execute(statement)
