"""Reading XML piece by piece, from somebody who may mean harm.

A document type is refused, so that there are no entities to expand and nothing to fetch; what is
unpacked is counted, so that a small file cannot grow without end; nothing is kept but what the
caller keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Final
from xml.parsers import expat

from app.domain.tables.lines import refused

PIECE: Final = 64 * 1024
DAMAGED: Final = (
    "The workbook is damaged and cannot be read. Open it in your spreadsheet and save it again."
)
TOO_LARGE: Final = "The workbook is too large to be read; upload it in parts, or as CSV."

Begin = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Text = Callable[[str], None]


def parse(part: IO[bytes], most: int, begin: Begin, end: End, text: Text) -> Iterator[None]:
    """Parse a part, telling of elements by their names without namespaces; pause after each piece.

    :param most: bytes, unpacked, after which the part is refused.
    :raises Refused: when it is no well-formed XML, has a document type, or is too large.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    local: dict[str, str] = {}

    def name_of(name: str) -> str:
        found = local.get(name)
        if found is None:
            found = name.rpartition(" ")[2]
            if len(local) < 1000:
                local[name] = found
        return found

    def no_document_type(*_: object) -> None:
        raise refused(DAMAGED)

    parser.StartDoctypeDeclHandler = no_document_type
    parser.StartElementHandler = lambda name, attributes: begin(name_of(name), attributes)
    parser.EndElementHandler = lambda name: end(name_of(name))
    parser.CharacterDataHandler = text
    unpacked = 0
    try:
        while piece := part.read(PIECE):
            unpacked += len(piece)
            if unpacked > most:
                raise refused(TOO_LARGE)
            parser.Parse(piece, False)
            yield
        parser.Parse(b"", True)
    except expat.ExpatError:
        raise refused(DAMAGED) from None
    yield


def elements(part: IO[bytes], most: int) -> list[tuple[str, dict[str, str]]]:
    """Return a small part's elements, in their order, with their attributes.

    :raises Refused: as :func:`parse`.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for _ in parse(
        part,
        most,
        lambda name, attributes: found.append((name, attributes)),
        lambda _: None,
        lambda _: None,
    ):
        pass
    return found
