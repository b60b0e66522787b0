"""Reading a TwiML document that somebody else wrote, safely and with places for error messages.

Expat reads it. A document type is refused outright, so that there are no entities to expand and
nothing to fetch; size and depth are limited before anything is built.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

MAX_BYTES: Final = 64_000
"""Largest document that Twilio fetches (error 11750 beyond 64 kB)."""
MAX_DEPTH: Final = 30


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a document: where, counted from 1, and a sentence for people."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"Line {self.line}, column {self.column}: {self.message}"


class Unreadable(ValueError):
    """The text is no XML document that may be read; `problem` says why and where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(slots=True)
class Element:
    """An element: `content` in its order; `offset` its first byte in UTF-8."""

    name: str
    attributes: dict[str, str]
    line: int
    column: int
    offset: int
    content: list["str | Element"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All the text directly in this element."""
        return "".join(one for one in self.content if isinstance(one, str))

    @property
    def children(self) -> list["Element"]:
        """The elements directly in this one."""
        return [one for one in self.content if isinstance(one, Element)]

    def walk(self) -> Iterator["Element"]:
        """Yield this element and everything in it, in the order of the document."""
        yield self
        for child in self.children:
            yield from child.walk()

    def spoken(self) -> str:
        """Return the text in this element and everything in it, with single spaces."""
        pieces = (one if isinstance(one, str) else one.spoken() for one in self.content)
        return " ".join(" ".join(pieces).split())


def parse(xml: str) -> Element:
    """Return the root element of `xml`; raise Unreadable, with the place, if there is none."""
    data = xml.encode("utf-8", "surrogatepass")
    if len(data) > MAX_BYTES:
        raise Unreadable(
            Problem(1, 1, f"The document has {len(data):,} bytes; Twilio reads {MAX_BYTES:,}.")
        )
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        message = _explain(expat.ErrorString(error.code), error.code)
        raise Unreadable(Problem(error.lineno, error.offset + 1, message)) from error
    if reader.root is None:
        raise Unreadable(Problem(1, 1, "The document is empty."))
    return reader.root


class _Reader:
    def __init__(self) -> None:
        # The encoding is fixed, whatever the declaration says: the text is decoded already.
        self.parser = expat.ParserCreate(encoding="utf-8")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.buffer_text = True
        self.root: Element | None = None
        self._open: list[Element] = []

    def _here(self, message: str) -> Problem:
        return Problem(self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1, message)

    def _doctype(self, *_: object) -> None:
        raise Unreadable(self._here("A document type (<!DOCTYPE>) is not allowed in TwiML."))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise Unreadable(self._here(f"Elements are nested more than {MAX_DEPTH} deep."))
        parser = self.parser
        element = Element(
            name,
            attributes,
            parser.CurrentLineNumber,
            parser.CurrentColumnNumber + 1,
            parser.CurrentByteIndex,
        )
        if self._open:
            self._open[-1].content.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, data: str) -> None:
        self._open[-1].content.append(data)


_HINTS: Final = {
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]: "The document is empty.",
    expat.errors.codes[expat.errors.XML_ERROR_SYNTAX]: "This is not XML; a document begins with "
    "<Response>.",
    expat.errors.codes[expat.errors.XML_ERROR_TAG_MISMATCH]: "The end tag does not match the "
    "start tag before it.",
    expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]: "XML does not know this entity; "
    "write the character itself, or &amp; for an ampersand.",
    expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI]: "The XML declaration has to be "
    "the very first thing, without a blank or an empty line before it.",
    expat.errors.codes[expat.errors.XML_ERROR_DUPLICATE_ATTRIBUTE]: "An attribute is given twice.",
    expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]: "There is something after "
    "the end of the document; everything belongs between <Response> and </Response>.",
    expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]: "This is not XML here; an & or < in "
    "a text has to be written as &amp; or &lt;.",
}


def _explain(error: str | None, code: int) -> str:
    return _HINTS.get(code) or f"The XML cannot be read: {error or 'unknown error'}."
