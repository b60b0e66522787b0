"""What goes out of a population as a file comes back as it went out, whatever people are called."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import attributes, tables
from app.domain.attributes import KNOWN
from app.domain.audience import columns, population_files
from app.domain.audience.members import check
from app.domain.one_line import one_line
from app.domain.tables.table import tidy

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ODD = st.sampled_from(
    ["=1+1", "'=1", "''", "'", " a", "a ", "\ta", "a\r\nb", "\r", "[1]", "'[1]", '{"a": 1}', "[",
     "#N/A", "'#N/A", "007", "'007", "+1", "-", "@x", '="7"', "1.0", "1E5", "sep=;", "a;b", 'a"b',
     "\ufeff", "\u200b", "\u00a0", "\u2028", "王小明", "＝1", "TRUE", "What is wrong", "toPhone"]
)  # fmt: skip
NAMES = (
    st.from_regex(r"[A-Za-z王é][A-Za-z0-9_é]{0,8}", fullmatch=True)
    | st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)
    | st.sampled_from(
        ["Phone", "Name", "name", "E_Mail", "tophone", "Mobile", "Column_1", "a_", "a__2", "x_2",
         "x", "First Name", "=x", "'x", " x", "x ", "a  b", "نام\u200cخانوادگی", "Column 4", "1",
         "#", "319 555 0100", "ada@example.edu", "sep=;", "[1]", "x.y", "x\u00a0y", "a,b", 'a"b']
    )
).filter(lambda one: one not in KNOWN and one_line(one) != "")  # fmt: skip
"""What may be the name of an attribute: one in which nothing can be seen is refused everywhere."""
PERSON = st.fixed_dictionaries(
    {"toPhone": st.integers(2000, 9999).map(lambda n: f"+1319555{n}")},
    optional={
        "toName": TEXTS | ODD,
        "toAddress": st.sampled_from(
            ["ada@example.edu", "O'Hara+x@example.edu", "=ada@example.edu", "+ada@x.example.edu"]
        ),
    },
)


def there_and_back(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the people of an export's file, as members who were there before get them."""
    names = dict.fromkeys(KNOWN)
    for person in people:
        names.update(dict.fromkeys(person))
    written = tables.write(names, ([person.get(one) for one in names] for person in people))
    table = tables.read(written.encode())
    found, faulty = population_files.read_people(table, columns.suggest(table, {}, names))
    assert faulty.named == []
    return list(found)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(PERSON, st.dictionaries(NAMES, TEXTS | ODD | JSON, max_size=4)),
       min_size=1, max_size=4, unique_by=lambda one: one[0]["toPhone"]))  # fmt: skip
def test_export_then_import_is_the_identity(
    given_people: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    called = {tidy(name): name for _, more in given_people for name in more}
    people = [  # two names that look the same on paper are one
        check({**known, **{called[tidy(name)]: value for name, value in more.items()}})
        for known, more in given_people
    ]
    back = there_and_back(people)
    for before, after in zip(people, back, strict=True):
        kept = {name: one for name, one in before.items() if one not in (None, "")}
        assert attributes.like(before, after) == kept
        for name, value in after.items():  # and to somebody new: texts, lists and objects whole
            if isinstance(before[name], str | list | dict):
                assert value == before[name]
