"""Help: the staff's guide (``docs/staff.md``), shown as a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from flask import Response, current_app, render_template, send_from_directory, url_for
from markupsafe import Markup, escape

from app.staff.access import blueprint

_STARTS = {"# ": "h1", "## ": "h2", "- ": "ul", "1. ": "ol", "| ": "table"}
_LINK = re.compile(r"\[([^][]{1,100})\]\(#([\w-]{1,100})\)")
_LISTED = re.compile(r"(?:-|\d{1,3}\.) ")


def _docs() -> Path:
    return Path(current_app.root_path).parent / "docs"


@blueprint.get("/help", endpoint="help")
def help_page() -> str:
    """Show the guide."""
    text = (_docs() / "staff.md").read_text("utf-8")
    return render_template("staff/help.html", guide=Markup("\n").join(_as_html(text)))


@blueprint.get("/help/<name>.png")
def help_picture(name: str) -> Response:
    """Show one of its pictures."""
    return send_from_directory(_docs() / "staff", f"{name}.png", max_age=3600)


@cache
def _as_html(text: str) -> tuple[Markup, ...]:
    """Turn the little Markdown that the guide uses into HTML."""
    return tuple(_block(block) for block in re.split(r"\n{2,}", text.strip()))


def _block(block: str) -> Markup:
    lines = block.split("\n")
    kind = next((tag for start, tag in _STARTS.items() if block.startswith(start)), "p")
    if kind in ("h1", "h2"):
        words = block.lstrip("# ")
        return Markup('<{0} id="{1}">{2}</{0}>').format(kind, _anchor(words), _inline(words))
    if kind in ("ul", "ol"):
        items = (Markup("<li>{}</li>").format(_inline(_LISTED.sub("", line, 1))) for line in lines)
        return Markup("<{0}>{1}</{0}>").format(kind, Markup("").join(items))
    if kind == "table":
        return _table(lines)
    if picture := re.fullmatch(r"!\[(.*)\]\(staff/(\w+)\.png\)", block):
        source = url_for("staff.help_picture", name=picture[2])
        return Markup('<img src="{}" alt="{}">').format(source, picture[1])
    return Markup("<p>{}</p>").format(_inline(" ".join(lines)))


def _table(lines: list[str]) -> Markup:
    head, _, *rows = [
        [_inline(cell.strip()) for cell in line.strip("|").split("|")] for line in lines
    ]
    top = Markup("").join(Markup('<th scope="col">{}</th>').format(cell) for cell in head)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(_cells(head, row))) for row in rows
    )
    return Markup(
        '<table class="cards"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
    ).format(top, body)


def _cells(head: list[Markup], row: list[Markup]) -> Iterator[Markup]:
    for label, cell in zip(head, row, strict=True):
        yield Markup('<td data-label="{}"><span>{}</span></td>').format(label, cell)


def _anchor(heading: str) -> str:
    """Return what a link within the guide calls a heading, as the readers of Markdown do."""
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))


def _inline(text: str) -> Markup:
    """Put emphasis and links within the guide where it has them; everything else is text."""
    safe = re.sub(
        r"\[([^][]{1,100})\]\(#([\w-]{1,100})\)", r'<a href="#\2">\1</a>', str(escape(text))
    )
    for pattern, tag in ((r"\*\*(.+?)\*\*", "strong"), (r"\*(.+?)\*", "em"), (r"`(.+?)`", "code")):
        safe = re.sub(pattern, rf"<{tag}>\1</{tag}>", safe)
    return Markup(safe)  # noqa: S704 - escaped above
