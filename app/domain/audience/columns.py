"""Which attribute of a person each column of a file becomes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from app.domain.attributes import ADDRESS, KNOWN, MAX_NAME, NAME, PHONE
from app.domain.mistakes import Mistake, Refused
from app.domain.tables import Table, header
from app.domain.tables.header import SPELLINGS, letters
from app.domain.tables.table import tidy

Names = Mapping[str, str]
"""The attribute that each column becomes, by the column's name."""
LEFT_OUT: Final = ""
"""In place of an attribute: the column is left out."""
FAULTS: Final = "What is wrong"
"""The column that says, in a file of faulty rows, what is wrong with each; it is never taken."""


def suggest(table: Table, remembered: Names | None = None, own: Collection[str] = ()) -> Names:
    """Return what each column of a file becomes, as far as can be told.

    ``Phone``, ``E-Mail-Adresse`` and ``姓名`` become the attributes that Dispatch knows; of other
    names what a template could not use is replaced: ``First name`` becomes ``First_name``.

    :param remembered: what was said of columns so called in this population's last file.
    :param own: attributes that people of the population have, which are kept as they are.
    """
    own_first = tuple(one for one in table.columns if one != FAULTS)[: len(KNOWN)]
    is_ours = own_first == KNOWN  # as an export begins
    remembered = {} if is_ours or remembered is None else remembered
    remembered = {letters(label): name for label, name in remembered.items()}
    names: dict[str, str] = {}
    for column in table.columns:
        said = remembered.get(letters(column))
        if said is not None and (said == LEFT_OUT or said not in names.values()):
            names[column] = said
    taken = set(names.values())
    for attribute in KNOWN:
        if attribute not in taken and (called := _called(attribute, table, names)):
            names[called] = attribute
    labels = {tidy(name): name for name in own}
    names |= _in_other_words(table, names, labels)
    if not {PHONE, ADDRESS} & set(names.values()):
        names |= _by_content(table, names)
    for column in table.columns:
        if column not in names:
            names[column] = _attribute(column, table, labels, names.values())
    return {column: names[column] for column in table.columns}


def check(names: Names) -> None:
    """Let only what can be a person's attributes pass.

    :raises Refused: when no column holds phones or e-mail addresses, or two mean the same.
    """
    wrong = []
    if not {PHONE, ADDRESS} & set(names.values()):
        wrong.append(
            "No column is called toPhone or toAddress. Say which one holds the phones, or the"
            " e-mail addresses."
        )
    seen: dict[str, str] = {}
    for column, name in names.items():
        if name == LEFT_OUT:
            continue
        if name in seen:
            wrong.append(
                f"The columns “{seen[name]}” and “{column}” would both become {name}; leave one"
                " out, or call it something else."
            )
        seen.setdefault(name, column)
    if wrong:
        raise Refused([Mistake(("file",), sentence) for sentence in wrong])


def attribute_of(label: str) -> str:
    """Return the name under which a template can use a column; empty when nothing is left of it."""
    if label.isidentifier() and not label.startswith("_"):
        return label
    name = re.sub(r"\W+", "_", label).strip("_")
    name = f"column_{name}" if name and not name[0].isidentifier() else name
    return name[:MAX_NAME] if name.isidentifier() else ""


def _called(attribute: str, table: Table, names: Names) -> str | None:
    """Return the column whose name is the surest among those for an attribute."""
    free = [column for column in table.columns if column not in names]
    if attribute in free:
        return attribute
    for spelling in SPELLINGS[attribute]:
        for column in free:
            if letters(column) == spelling:
                return column
    return None


def _in_other_words(table: Table, names: Names, own: Collection[str]) -> Names:
    """Tell columns whose names only hold a known one, where their values do not say otherwise."""
    found: dict[str, str] = {}
    for column in table.columns:
        attribute = header.meant(column) if column not in (*names, *own) else None
        if attribute is None or attribute in (*names.values(), *found.values()):
            continue
        values = [one[column] for one in table.samples if one.get(column)]
        if attribute == NAME or not values or _held(values, bare=True) == attribute:
            found[column] = attribute
    return found


def _by_content(table: Table, names: Names) -> Names:
    """Tell columns by what is in them, where their names say nothing.

    A number of ten digits may be anything under a name of its own; without a header it is taken
    for a phone.
    """
    found: dict[str, str] = {}
    for column in table.columns:
        values = [one[column] for one in table.samples if one.get(column)]
        if column in names or not values:
            continue
        name = _held(values, bare=table.header_line is None)
        if name and name not in found.values() and name not in names.values():
            found[column] = name
    return found


def _held(values: list[str], *, bare: bool) -> str | None:
    def mostly(fitting: Iterable[bool]) -> bool:
        return sum(fitting) * 5 >= len(values) * 4

    if mostly("@" in one and header.is_reachable(one) for one in values):
        return ADDRESS
    if mostly(
        (bare or not one.isdecimal()) and "@" not in one and header.is_reachable(one)
        for one in values
    ):
        return PHONE
    if bare and mostly(not any(map(str.isdigit, one)) and len(one) > 1 for one in values):
        return NAME
    return None


def _attribute(column: str, table: Table, own: Names, taken: Iterable[str]) -> str:
    if column == FAULTS:
        return LEFT_OUT
    if column in own:
        return own[column]
    if re.fullmatch(r"Column \d+", column) and not any(one.get(column) for one in table.samples):
        return LEFT_OUT
    wanted = name = attribute_of(column) or f"column_{table.columns.index(column) + 1}"
    number = 2
    while name in taken or name in KNOWN:
        name, number = f"{wanted[: MAX_NAME - 4]}_{number}", number + 1
    return name
