"""The order of lists is counted by the database itself, so that a copy goes on with it."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# One number for each transaction. Until that ends it holds a lock on a lower one, taken before its
# own was given: whoever reads a list knows by the lowest lock where there may still come something.
# The letter D before the number keeps these locks apart from all others.
NEXT = """
CREATE FUNCTION next_commit_order() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    given text := current_setting('dispatch.commit_order', true);
BEGIN
    IF given IS NULL OR given = '' THEN
        PERFORM pg_advisory_xact_lock_shared((68::bigint << 56) | (last_value - 1))
            FROM commit_order_seq;
        given := nextval('commit_order_seq')::text;
        PERFORM set_config('dispatch.commit_order', given, true);
    END IF;
    RETURN given::bigint;
END $$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    # Beyond all numbers of before, and those that an old process may still give.
    op.execute("CREATE SEQUENCE commit_order_seq")
    op.execute(
        "SELECT setval('commit_order_seq', greatest("
        " (SELECT max(commit_order) FROM message), (SELECT max(commit_order) FROM incoming),"
        " (SELECT max(commit_order) FROM delivery),"
        " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint))"
    )
    op.execute(NEXT)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    op.execute("DROP FUNCTION next_commit_order()")
    op.execute("DROP SEQUENCE commit_order_seq")
