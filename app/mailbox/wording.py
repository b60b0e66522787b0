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


_SENT_WITH = re.compile(
    r"(?:sent (?:from|via|with|by)\b|get outlook for\b|gesendet (?:von|mit|aus)\b"
    r"|von meinem .{1,40} gesendet|envoyée? (?:de|depuis|à partir|avec)\b"
    r"|enviado (?:desde|con|de|do)\b|inviato da\b|verzonden vanaf\b|wysłane z\b|skickat från\b"
    r"|sendt fra\b|отправлено с\b|发自|發自|從我的|从我的).{0,90}"
    r"|.{0,20}iPhoneから送信|나의 .{0,20}에서 보냄",
    re.IGNORECASE,
)
"""What programs of phones and computers add as their last words, in more languages than the
library knows."""
_NOTICE = re.compile(
    r"\W{0,8}(?:confidentiality\b|confidential(?: notice)?:|disclaimer:"
    r"|(?:notice:\s*)?this (?:e-?mail|message|communication|transmission)\b.{0,150}"
    r"\b(?:confidential|privileged|intended (?:only|solely))"
    r"|diese (?:e-?mail|nachricht)\b.{0,150}\bvertraulich"
    r"|ce (?:message|courriel|mail)\b.{0,150}\bconfidentiel"
    r"|este (?:mensaje|correo)\b.{0,150}\bconfidencial)",
    re.IGNORECASE | re.DOTALL,
)
"""How the notices begin that mail servers of institutions put under every mail."""
_UNSEEN = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff]")
_HEADER = re.compile(r"[\W_]{0,3}[^\W\d_]{2,20} ?[*_]{0,2}[:：]")
_WROTE = re.compile(r"\S{2,20}(?: \S{1,20}){0,2}[:：]")
"""The second half of such a line: “wrote:”."""
_POSTSCRIPT = re.compile(r"p\.?\s?s\b\.?\s*[:.,–-]?\s*\S", re.IGNORECASE)
_NO_NAME_ENDS = re.compile(r"[!?:;,]$|[^\W\d_]{2}\.$")
_MAX_NAME_WORDS = 6


def answer(message: Message, ours: str) -> str:
    """Return what was written.

    :param ours: our address, which stands in the line that introduces what is quoted from us.
    """
    text = _before_quotation(_UNSEEN.sub("", _text(message)), ours)
    text = re.sub(r"\n{3,}", "\n\n", text.strip())[:MAX_TEXT]
    first = EmailReplyParser(languages=list(_LANGUAGES)).read(text).replies[0]
    written = "" if first.headers else first.content  # with a header, it is quoted
    lines = [line for line in written.split("\n") if not line.startswith(">")]
    end = _signature(lines)
    kept = [*lines[:end], *_postscript(lines[end:])]
    said = re.sub(r"\n{3,}", "\n\n", "\n".join(kept))
    return _without_notice(said.strip())


def _postscript(below: list[str]) -> list[str]:
    """Return what somebody thought of after their name."""
    for number, line in enumerate(below):
        if _POSTSCRIPT.match(line.strip()):
            return ["", *below[number:]]
    return []


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
        return _without_introduction(text, ours)
    lines = text[:start].split("\n")[:-1]  # the rest of that line is "> " or nothing
    while lines and (not lines[-1].strip(" >") or _introduces(lines[-2:], ours)):
        lines.pop()
    if lines and lines[-1].rstrip().endswith("<"):
        lines.pop()  # the address was too long for the line: "… at 9:00 AM Somebody <"
    return "\n".join(lines)


def _without_introduction(text: str, ours: str) -> str:
    """Leave out the line with our address that says whose words are quoted, in any language.

    The address is signed and nobody writes it; below the line may stand what was written. A header
    of Outlook's (``From: …``) is a line among others that are known as such.
    """
    kept: list[str] = []
    lines = iter(text.split("\n"))
    for line in lines:
        if ours.lower() not in line.lower() or _HEADER.match(line):
            kept.append(line)
            continue
        if kept and kept[-1].rstrip().endswith("<"):
            kept.pop()
        if not line.rstrip().endswith((":", "：")) and (rest := next(lines, None)) is not None:
            kept += [] if _WROTE.fullmatch(rest.strip(" >")) else [rest]
    return "\n".join(kept)


def _without_notice(text: str) -> str:
    """Leave out what a mail server put under the words: a notice that takes the last paragraphs."""
    paragraphs = text.split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        if number and _NOTICE.match(paragraph):
            return "\n\n".join(paragraphs[:number]).strip()
    return text


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
        below = [one.strip() for one in lines[number + 1 :] if one.strip()]
        if number and not below and _SENT_WITH.fullmatch(line.strip()):
            return number
        ends = number and 0 < len(below) <= MAX_SIGNATURE and _is_name(below[0])
        if ends and _FAREWELL.fullmatch(line.strip()):
            return number
    return len(lines)


def _is_name(line: str) -> bool:
    """Tell the name under a farewell from a sentence that goes on, whose words are to be sent."""
    short = len(line.split()) <= _MAX_NAME_WORDS and not line[0].islower()
    return short and not _NO_NAME_ENDS.search(line)


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
