"""What batches said is found by its words, which are written down some seconds later."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "batch_words",
        sa.Column("batch_id", sa.String(length=26), nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], op.f("fk_batch_words_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch_words")),
    )
    op.create_index(op.f("ix_batch_words_client_id"), "batch_words", ["client_id"])
    op.create_table(
        "batch_said",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("words", postgresql.TSVECTOR().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], op.f("fk_batch_said_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], op.f("fk_batch_said_message_id_message"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("message_id", name=op.f("uq_batch_said_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_said")),
    )  # fmt: skip
    op.create_index(op.f("ix_batch_said_client_id_id"), "batch_said", ["client_id", "id"])
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()
    _have_the_others_read()


def _have_the_others_read() -> None:
    """Have the texts of batches from before read as well."""
    _run(
        "INSERT INTO chore (id, kind, subject, details, after, due_at, created_at)"
        " SELECT batch.id, 'words', batch.id, '{}', '', batch.created_at, batch.created_at"
        " FROM batch WHERE EXISTS (SELECT 1 FROM message WHERE message.batch_id = batch.id"
        " AND message.destination = 'sms')"
    )


def _postgresql() -> None:
    _run("CREATE INDEX said_index_batch ON batch_said USING gin (words)")
    _run(
        "CREATE FUNCTION batch_said_message() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " DELETE FROM batch_said WHERE message_id = NEW.id; RETURN NULL; END $$"
    )
    _run(
        "CREATE TRIGGER batch_said_message_changed AFTER UPDATE OF body ON message FOR EACH ROW"
        " WHEN (NEW.batch_id IS NOT NULL AND OLD.body IS DISTINCT FROM NEW.body)"
        " EXECUTE FUNCTION batch_said_message()"
    )


def _sqlite() -> None:
    _run(
        "CREATE VIRTUAL TABLE said_index_batch USING fts5("
        "client_id, words, content='batch_said', content_rowid='id', tokenize='ascii',"
        " detail='column')"
    )
    _run(
        "CREATE TRIGGER batch_said_found AFTER INSERT ON batch_said BEGIN"
        " INSERT INTO said_index_batch (rowid, client_id, words)"
        " VALUES (NEW.id, NEW.client_id, NEW.words); END"
    )
    _run(
        "CREATE TRIGGER batch_said_forgotten AFTER DELETE ON batch_said BEGIN"
        " INSERT INTO said_index_batch (said_index_batch, rowid, client_id, words)"
        " VALUES ('delete', OLD.id, OLD.client_id, OLD.words); END"
    )
    _run(
        "CREATE TRIGGER batch_said_message_changed AFTER UPDATE OF body ON message"
        " WHEN NEW.batch_id IS NOT NULL AND OLD.body IS NOT NEW.body"
        " BEGIN DELETE FROM batch_said WHERE message_id = NEW.id; END"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _run("DROP TRIGGER batch_said_message_changed ON message")
        _run("DROP FUNCTION batch_said_message()")
    else:
        _run("DROP TRIGGER batch_said_message_changed")
        _run("DROP TABLE said_index_batch")
    op.drop_table("batch_said")
    op.drop_table("batch_words")
    _run("DELETE FROM chore WHERE kind = 'words'")


def _run(statement: str) -> None:
    op.get_bind().exec_driver_sql(statement)
