"""What a client's texts and calls say: saving templates, version by version."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import changes, named, urls
from app.domain.changes import Change
from app.domain.content import attachments, templates
from app.domain.content.template_names import attribute_name, nearest
from app.domain.content.voice_templates import (
    ANSWERED_BY,
    Rules,
    check_voice_template,
    form_only,
    sampled,
)
from app.domain.deletion import in_use
from app.domain.mistakes import Mistake, Refused
from app.domain.specs import Empty, Line, Spec, Text
from app.models.client import Client
from app.models.template import Template, TemplateKind, TemplateVersion
from app.twiml.tags import pieces
from app.twiml.text import MAX_BODY

__all__ = [
    "current_version",
    "in_use",
    "look_ahead",
    "restore_version",
    "save",
    "save_template",
    "template_mistakes",
]

MAX_NAME = 100
ALWAYS_KNOWN = ("From", "To", "Body")
"""What a canned reply knows of every text that it answers."""


class TemplateSpec(Spec):
    """Text with placeholders."""

    name: Annotated[str, Line]
    kind: TemplateKind
    body: Text = ""
    media: Annotated[list[str], Empty] = Field(default_factory=list)


def save(
    session: Session,
    client: Client,
    spec: TemplateSpec,
    known: Template | None,
    by: str,
    rules: Rules = form_only,
) -> Change[Template]:
    """Make a template, or give a known one a new version where its body or media differ.

    :param rules: where the TwiML of this client may lead.
    :raises Refused: with every reason at once.
    """
    if known is None and named.find(session, Template, client.id, spec.name) is not None:
        said = f"There is a “{spec.name}” already; choose another name."
        raise Refused.because(said, "name", code="taken")
    row, changed = save_template(
        session, client, spec.name, spec.kind, spec.body, spec.media, by, rules
    )
    details = {"version": f"version {row.current_version}"} if known and changed else {}
    change = Change(row, f"template {spec.name}", details, is_new=known is None)
    return changes.note(session, change, by)


def save_template(
    session: Session,
    client: Client,
    name: str,
    kind: TemplateKind,
    body: str,
    media: Sequence[str],
    by: str,
    rules: Rules = form_only,
) -> tuple[Template, bool]:
    """Create a template, or give it a new version where its body or media differ.

    :param rules: where the TwiML of this client may lead.
    :param by: the person's e-mail address, or ``flask apply``.
    :returns: the template, and whether anything was written.
    :raises Refused: with every reason at once.
    """
    template = named.find(session, Template, client.id, name)
    reasons = list(template_mistakes(name, kind, body, media, rules))
    reasons += attachments.inspect(session, client.id, media).mistakes
    if template is not None and template.kind is not kind:
        reasons.append(
            Mistake(
                ("kind",),
                f"The template “{name}” is of the kind {template.kind}, which cannot be changed;"
                " choose another name.",
            )
        )
    if reasons:
        raise Refused(reasons)
    if template is None:
        template = Template(client_id=client.id, name=name, kind=kind, current_version=0)
        session.add(template)
        session.flush()
    elif _says(current_version(session, template), body, media):
        return template, False
    _add_version(session, template, body, media, by)
    return template, True


def look_ahead(kind: TemplateKind, body: str) -> None:
    """Fill a template in with samples before a transaction opens, so that none waits for it.

    What is wrong is told when it is saved, with everything else.
    """
    with contextlib.suppress(templates.TemplateProblem):
        if kind is TemplateKind.VOICE:
            sampled(body)
        else:
            templates.check(body)


def current_version(session: Session, template: Template) -> TemplateVersion:
    """Return the version in use."""
    return version(session, template, template.current_version)


def version(session: Session, template: Template, number: int) -> TemplateVersion:
    """Return one version.

    :raises Refused: when there is none of that number.
    """
    found = session.scalar(
        select(TemplateVersion).filter_by(template_id=template.id, number=number)
    )
    if found is None:
        raise Refused.because(f"The template “{template.name}” has no version {number}.", "version")
    return found


def restore_version(
    session: Session, template: Template, number: int, by: str, rules: Rules = form_only
) -> tuple[Template, bool]:
    """Make an old version's content the newest version; history is never rewritten.

    :returns: the template, and whether anything was written.
    :raises Refused: when there is no such version, or it would not be accepted today.
    """
    old = version(session, template, number)
    reasons = list(template_mistakes(template.name, template.kind, old.body, old.media, rules))
    reasons += attachments.inspect(session, template.client_id, old.media).mistakes
    if reasons:
        raise Refused(reasons)
    if _says(current_version(session, template), old.body, old.media):
        return template, False
    _add_version(session, template, old.body, old.media, by)
    return template, True


def unanswered(kind: TemplateKind, body: str) -> str | None:
    """Say who would get no answer from a canned reply; None where everybody gets one.

    :raises templates.TemplateProblem: if it cannot be rendered at all.
    """
    if kind is not TemplateKind.REPLY:
        return None
    names = templates.missing(body, dict.fromkeys(ALWAYS_KNOWN, "x"))
    if not names:
        return None
    which = " or ".join(names[:5])
    name = names[0]
    return (
        f"Whoever texts and of whom we do not know {which} gets no answer, and you are told once a"
        f' day. Say what stands for it: {{{{ {name} or "there" }}}}.'
    )


def meant(body: str, columns: tuple[str, ...]) -> str | None:
    """Say which names in a template nobody has, where others are near; None where all is well.

    :param columns: the attributes that people of the client's lists have.
    :raises templates.TemplateProblem: if it cannot be rendered at all.
    """
    known = {attribute_name(one) for one in columns} | {*ALWAYS_KNOWN, ANSWERED_BY}
    near = {
        name: nearest(name, columns) for name in sorted(templates.placeholders(body) - known)[:5]
    }
    hints = [f"{{{{ {one} }}}} in place of {{{{ {name} }}}}" for name, one in near.items() if one]
    if not hints:
        return None
    names = ", ".join(f"“{name}”" for name, one in near.items() if one)
    return f"Nobody in your lists has {names}; did you mean {' and '.join(hints)}?"


def template_mistakes(
    name: str, kind: TemplateKind, body: str, media: Sequence[str], rules: Rules = form_only
) -> Iterator[Mistake]:
    """Yield everything that is wrong with a template, in sentences."""
    if not name.strip() or len(name) > MAX_NAME:
        yield Mistake(("name",), f"A template needs a name of at most {MAX_NAME} characters.")
    yield from _body_mistakes(kind, body, bool(media), rules)
    if media and kind is TemplateKind.VOICE:
        yield Mistake(("media",), "A call carries no media; leave them out.")
        return
    if len(media) > attachments.MAX_FILES:
        yield Mistake(("media",), f"A message carries at most {attachments.MAX_FILES} media.")
    for index, url in enumerate(media):
        if reason := urls.refusal(url):
            yield Mistake(("media", index), reason)


def _body_mistakes(
    kind: TemplateKind, body: str, has_media: bool, rules: Rules
) -> Iterator[Mistake]:
    if not body.strip():
        if not has_media:
            yield Mistake(("body",), "The template is empty.")
        return
    try:
        if kind is TemplateKind.VOICE:
            for found in check_voice_template(body, rules):
                yield Mistake(("body",), f"Line {found.line}: {found.message}")
            return
        templates.check(body)
    except templates.TemplateProblem as problem:
        yield Mistake(("body",), problem.message)
        return
    literal = _shortest(body)
    if literal > MAX_BODY:
        yield Mistake(
            ("body",),
            f"The text has {literal} characters even without its placeholders;"
            f" Twilio sends at most {MAX_BODY}.",
        )


def _shortest(body: str) -> int:
    """Count the characters that are there whatever the placeholders hold.

    With conditions or loops in it nothing can be said beforehand.
    """
    return 0 if "{%" in body else sum(len(one.text) for one in pieces(body) if not one.opening)


def _says(version: TemplateVersion, body: str, media: Sequence[str]) -> bool:
    return version.body == body and list(version.media) == list(media)


def _add_version(
    session: Session, template: Template, body: str, media: Sequence[str], by: str
) -> None:
    template.current_version += 1
    session.add(
        TemplateVersion(
            template_id=template.id,
            number=template.current_version,
            body=body,
            media=list(media),
            created_by=by,
        )
    )
    attachments.pin(session, template.client_id, media)
    session.flush()
