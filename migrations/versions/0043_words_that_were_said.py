"""Words that were said are found by an index, which triggers keep in step with the log."""

# ruff: noqa: S608 - nothing in these statements comes from outside
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

# As app.domain.conversations.wording reads what is looked for.
_LETTERS = {
    "a": "àáâãäåÀÁÂÃÄÅāĀăĂąĄ", "c": "çÇćĆčČ", "d": "ďĎđĐ", "e": "èéêëÈÉÊËēĒęĘěĚ", "g": "ğĞ",
    "i": "ìíîïÌÍÎÏīĪİı", "l": "łŁ", "n": "ñÑńŃňŇ", "o": "òóôõöøÒÓÔÕÖØōŌőŐ", "r": "řŘ",
    "s": "śŚšŠşŞ", "t": "ťŤţŢ", "u": "ùúûüÙÚÛÜūŪůŮűŰ", "y": "ýÿÝ", "z": "źŹżŻžŽ",
}  # fmt: skip
_BREAKS = "\u00a0\u202f\u2009\u3000“”„«»‹›‘’‚´–—―‐…•·¿¡。、，！？：；"
_DROPPED = "\u200b\u200d\ufe0f\u0300\u0301\u0302\u0303\u0308\u0327"
_IN_ASCII = [chr(code) for code in range(1, 128) if not chr(code).isalnum()]
_LONGEST = 64

# Table, the column of `said`, the words, the person's side of them, and when they were said.
_TEXT = "{row}body IS NOT NULL AND {row}destination = 'sms'"
_SOURCES = (
    ("incoming", "incoming_id", "body", _TEXT, "received_at"),
    ("message", "message_id", "body", _TEXT + " AND {row}batch_id IS NULL", "created_at"),
    ("conversation_note", "note_id", "text", "{row}text IS NOT NULL", "at"),
)


def upgrade() -> None:
    _create_table()
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()


def downgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for table, *_ in _SOURCES:
        for when in ("written", "changed"):
            _run(f"DROP TRIGGER IF EXISTS said_{table}_{when}" + f" ON {table}" * on_postgresql)
    if on_postgresql:
        for table, *_ in _SOURCES:
            _run(f"DROP FUNCTION said_{table}()")
    else:
        _run("DROP TABLE said_index")
    op.drop_table("said")
    if on_postgresql:
        _run("DROP FUNCTION said_words(text, text)")


def _create_table() -> None:
    words = postgresql.TSVECTOR().with_variant(sa.Text(), "sqlite")
    sources = [sa.Column(column, sa.String(length=26), nullable=True) for _, column, *_ in _SOURCES]
    op.create_table(
        "said",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True,
            nullable=False,
        ),
        sa.Column("client_id", sa.String(length=26), nullable=False),
        *sources,
        sa.Column("words", words, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], op.f("fk_said_client_id_client")),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], op.f(f"fk_said_{column}_{table}"), ondelete="CASCADE"
            )
            for table, column, *_ in _SOURCES
        ),
        *(
            sa.UniqueConstraint(column, name=op.f(f"uq_said_{column}"))
            for _, column, *_ in _SOURCES
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_said")),
    )  # fmt: skip
    op.create_index(op.f("ix_said_client_id_id"), "said", ["client_id", "id"])


def _postgresql() -> None:
    letters = [(one, letter) for letter, some in _LETTERS.items() for one in some]
    breaks = [(one, " ") for one in (*_IN_ASCII, *_BREAKS)]
    pairs = [*letters, *breaks]
    before = "".join(one for one, _ in pairs) + _DROPPED
    after = "".join(letter for _, letter in pairs)
    _run(
        "CREATE FUNCTION said_words(client text, body text) RETURNS tsvector IMMUTABLE"
        " LANGUAGE sql AS $$ SELECT array_to_tsvector(array_append(ARRAY("
        f"SELECT DISTINCT left(word, {_LONGEST}) FROM unnest(string_to_array("
        f"translate(lower(body COLLATE \"C\"), {_quoted(before)}, {_quoted(after)}), ' ')) AS word"
        " WHERE word <> ''), ':' || lower(client COLLATE \"C\"))) $$"
    )
    for table, column, body, condition, _ in _SOURCES:
        values = f"NEW.client_id, NEW.id, said_words(NEW.client_id, NEW.{body})"
        _run(
            f"CREATE FUNCTION said_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF TG_OP = 'UPDATE' THEN DELETE FROM said WHERE {column} = NEW.id; END IF;"
            f" IF {condition.format(row='NEW.')} THEN"
            f" INSERT INTO said (client_id, {column}, words) VALUES ({values}); END IF;"
            " RETURN NULL; END $$"
        )
    _fill("said_words(client_id, {body})")
    for table, _, body, condition, _ in _SOURCES:
        new = condition.format(row="NEW.")
        call = f"EXECUTE FUNCTION said_{table}()"
        _run(
            f"CREATE TRIGGER said_{table}_written AFTER INSERT ON {table} FOR EACH ROW"
            f" WHEN ({new}) {call}"
        )
        _run(
            f"CREATE TRIGGER said_{table}_changed AFTER UPDATE OF {body} ON {table} FOR EACH ROW"
            f" WHEN (OLD.{body} IS DISTINCT FROM NEW.{body}) {call}"
        )
    _run("CREATE INDEX said_index ON said USING gin (words)")


def _sqlite() -> None:
    _run(
        "CREATE VIRTUAL TABLE said_index USING fts5("
        "client_id, words, content='said', content_rowid='id', tokenize='ascii', detail='column')"
    )
    steps = "".join(
        f" UPDATE said SET words = {one} WHERE id = NEW.id"
        " AND length(words) <> length(CAST(words AS BLOB));"
        for one in _replacements()
    )
    _run(
        f"CREATE TRIGGER said_found AFTER INSERT ON said BEGIN{steps}"
        " INSERT INTO said_index (rowid, client_id, words)"
        " SELECT id, client_id, words FROM said WHERE id = NEW.id; END"
    )
    _run(
        "CREATE TRIGGER said_forgotten AFTER DELETE ON said BEGIN"
        " INSERT INTO said_index (said_index, rowid, client_id, words)"
        " VALUES ('delete', OLD.id, OLD.client_id, OLD.words); END"
    )
    _fill("lower({body})")
    for table, column, body, condition, _ in _SOURCES:
        new = condition.format(row="NEW.")
        write = (
            f" INSERT INTO said (client_id, {column}, words)"
            f" SELECT NEW.client_id, NEW.id, lower(NEW.{body}) WHERE {new};"
        )
        _run(
            f"CREATE TRIGGER said_{table}_written AFTER INSERT ON {table} WHEN {new} BEGIN{write}"
            " END"
        )
        _run(
            f"CREATE TRIGGER said_{table}_changed AFTER UPDATE OF {body} ON {table}"
            f" WHEN OLD.{body} IS NOT NEW.{body} BEGIN DELETE FROM said WHERE {column} = NEW.id;"
            f"{write} END"
        )


def _replacements() -> list[str]:
    """Return expressions that fold letters one after the other, few enough for its parser."""
    pairs = [(one, letter) for letter, some in _LETTERS.items() for one in some]
    pairs += [(one, " ") for one in _BREAKS] + [(one, "") for one in _DROPPED]
    found = []
    for first in range(0, len(pairs), 20):
        made = "words"
        for one, letter in pairs[first : first + 20]:
            made = f"replace({made}, char({ord(one)}), '{letter}')"
        found.append(made)
    return found


def _fill(words: str) -> None:
    """Take in what was said before, in its order."""
    columns = ", ".join(column for _, column, *_ in _SOURCES)
    parts = []
    for table, column, body, condition, at in _SOURCES:
        ids = ", ".join(
            f"{'id' if one == column else 'CAST(NULL AS VARCHAR(26))'} AS {one}"
            for _, one, *_ in _SOURCES
        )
        parts.append(
            f"SELECT client_id, {ids}, {words.format(body=body)} AS words, {at} AS said_at, id"
            f" FROM {table} WHERE {condition.format(row='')}"
        )
    _run(
        f"INSERT INTO said (client_id, {columns}, words) SELECT client_id, {columns}, words"
        f" FROM ({' UNION ALL '.join(parts)}) AS everything ORDER BY said_at, id"
    )


def _quoted(characters: str) -> str:
    """Write characters as a literal that holds whatever the encoding of this file's reader."""
    escaped = "".join(f"\\{ord(one):04x}" for one in characters)
    return f"U&'{escaped}'"


def _run(statement: str) -> None:
    op.get_bind().exec_driver_sql(statement)
