"""What somebody wrote in answer to a mail: without what they quote, and without their signature.

The mail that we forward begins with a line above which answers are written, so that what is quoted
is found in every language; the library knows how mail programs begin a quotation without it. Words
are never dropped for looking like a farewell: only a line that is one, with a few lines of name
under it, ends an answer.
"""

from __future__ import annotations

import re
from email.message import Message
from html.parser import HTMLParser

from mailparser_reply import EmailReplyParser
from mailparser_reply.constants import MAIL_LANGUAGES

from app.domain.mail_tags import ANSWER_ABOVE
from app.mailbox import mail

MAX_TEXT = 4000
"""Characters that are looked at: more than twice what a text can have, and little for the library,
whose patterns take long over long ones."""
MAX_HTML = 50_000
"""Characters of HTML that are looked at: an answer stands first, and the parser's time grows with
the square of what is left open."""
MAX_SIGNATURE = 8
_LANGUAGES = ["en", "de", "es", "fr", "it", "nl", "pl", "sv", "da", "cs", "zh", "ja", "ko"]
_DASHES = re.compile(r"(?:--|__) ?")


def _known(what: str) -> list[str]:
    """Return the library's patterns of something that mail programs or people write."""
    found = (MAIL_LANGUAGES[one].get(what) or () for one in _LANGUAGES)
    return [one for some in found for one in ([some] if isinstance(some, str) else some)]


_SENT_FROM = re.compile("|".join(_known("sent_from")), re.IGNORECASE)
_FAREWELL = re.compile(
    rf"(?:{'|'.join(one.rstrip(',，') for one in _known('signatures'))})[\s,.!，]*", re.IGNORECASE
)


def answer(message: Message, ours: str) -> str:
    """Return what was written.

    :param ours: our address, which stands in the line that introduces what is quoted from us.
    """
    text = _before_quotation(_text(message), ours)
    text = re.sub(r"\n{3,}", "\n\n", text.strip())[:MAX_TEXT]
    first = EmailReplyParser(languages=list(_LANGUAGES)).read(text).replies[0]
    written = "" if first.headers else first.content  # with a header, it is quoted
    lines = [line for line in written.split("\n") if not line.startswith(">")]
    return "\n".join(lines[: _signature(lines)]).strip()


def _text(message: Message) -> str:
    """Return the text of a mail, plain where there is such a part, else that of its HTML."""
    parts = [
        part for part in mail.leaves(message) if part.get_content_disposition() != "attachment"
    ]
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.get_content_type() == kind:
                text = mail.text_of(part)
                return text if kind == "text/plain" else plain(text)
    return ""


def _before_quotation(text: str, ours: str) -> str:
    """Cut off what is quoted from our mail, with the lines that introduce it."""
    start = text.find(ANSWER_ABOVE)
    if start < 0:
        return text
    lines = text[:start].split("\n")[:-1]  # the rest of that line is "> " or nothing
    while lines and (not lines[-1].strip(" >") or _introduces(lines[-2:], ours)):
        lines.pop()
    return "\n".join(lines)


def _introduces(last: list[str], ours: str) -> bool:
    """Tell the line, or the second half of one, that says whose words follow."""
    line, both = last[-1].strip(), " ".join(last)
    ends = line.endswith((":", "："))
    return ours.lower() in line.lower() or (ends and ours.lower() in both.lower())


def _signature(lines: list[str]) -> int:
    """Return the number of the line at which a signature begins; of all lines where none does."""
    for number, line in enumerate(lines):
        if _DASHES.fullmatch(line) or (number and _SENT_FROM.match(line.strip())):
            return number
        below = [one for one in lines[number + 1 :] if one.strip()]
        if number and _FAREWELL.fullmatch(line.strip()) and 0 < len(below) <= MAX_SIGNATURE:
            return number
    return len(lines)


class _Plain(HTMLParser):
    """Takes the text out of HTML: lines where there are blocks, nothing of what is not shown."""

    HIDDEN = frozenset({"style", "script", "head", "title", "blockquote"})
    BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "table", "ul", "ol", "hr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line, or something that is not shown."""
        if tag in self.HIDDEN:
            self._hidden += 1
        elif tag in self.BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if tag in self.HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in self.BLOCKS and tag != "br":
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        """Keep what is shown; a line break in HTML is a blank."""
        if not self._hidden:
            self.pieces.append(re.sub(r"\s+", " ", data))


def plain(html: str) -> str:
    """Return what a mail in HTML shows, without what it quotes."""
    parser = _Plain()
    parser.feed(html[:MAX_HTML])
    parser.close()
    lines = (line.strip() for line in "".join(parser.pieces).split("\n"))
    return "\n".join(lines)
