"""What was said is unique by what it is: each row stands in one such index, not in three."""

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

_SOURCES = ("incoming_id", "message_id", "note_id")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for column in _SOURCES:
            op.drop_constraint(f"uq_said_{column}", "said")
    else:
        _copy(lambda batch, column: batch.drop_constraint(f"uq_said_{column}"))
    for column in _SOURCES:
        op.execute(
            f"CREATE UNIQUE INDEX uq_said_{column} ON said ({column}) WHERE {column} IS NOT NULL"
        )


def downgrade() -> None:
    for column in _SOURCES:
        op.execute(f"DROP INDEX uq_said_{column}")
    if op.get_bind().dialect.name == "postgresql":
        for column in _SOURCES:
            op.create_unique_constraint(f"uq_said_{column}", "said", [column])
    else:
        _copy(lambda batch, column: batch.create_unique_constraint(f"uq_said_{column}", [column]))


def _copy(change) -> None:
    """Change the table as SQLite can, by a copy, which the triggers must not see."""
    connection = op.get_bind()
    triggers = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master"
        " WHERE type = 'trigger' AND substr(name, 1, 5) = 'said_'"
    ).all()
    for name, _ in triggers:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    with op.batch_alter_table("said") as batch:
        for column in _SOURCES:
            change(batch, column)
    for _, words in triggers:
        connection.exec_driver_sql(words)
