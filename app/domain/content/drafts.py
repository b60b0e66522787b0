"""Drafts: what a template is to say, kept and tried out before anybody gets it.

A template has one draft at most, beside its versions. It is checked as a version is; nothing uses
it until somebody puts it into use, and then it is a version like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.domain import audit, deletion
from app.domain.changes import Change
from app.domain.content import attachments, catalog
from app.domain.content.catalog import TemplateSpec
from app.domain.content.voice_templates import Rules, form_only
from app.domain.mistakes import Refused
from app.models.base import new_id, utcnow
from app.models.client import Client
from app.models.template import Template, TemplateDraft

CHANGED = "The draft has been changed since you looked at it. Look at it again below."


def find(session: Session, template: Template) -> TemplateDraft | None:
    """Return a template's draft, as it is now."""
    return session.get(TemplateDraft, template.id, populate_existing=True)


def keep(
    session: Session,
    template: Template,
    body: str,
    media: Sequence[str],
    by: str,
    rules: Rules = form_only,
) -> TemplateDraft:
    """Keep what is written as the template's draft, in place of the one before.

    :param rules: where the TwiML of this client may lead.
    :raises Refused: with every reason why it could not be used.
    """
    reasons = [
        *catalog.template_mistakes(template.name, template.kind, body, media, rules),
        *attachments.inspect(session, template.client_id, media).mistakes,
    ]
    if reasons:
        raise Refused(reasons)
    session.refresh(template, with_for_update=True)  # two who write at once take turns
    draft = find(session, template)
    before = list(draft.media) if draft is not None else []
    if draft is None:
        draft = TemplateDraft(template_id=template.id)
        session.add(draft)
    draft.body, draft.media, draft.created_by = body, list(media), by
    draft.based_on, draft.created_at = template.current_version, utcnow()
    draft.mark = new_id()
    attachments.pin(session, template.client_id, media)
    session.flush()
    deletion.let_files_go(session, template, before)
    audit.record(session, by, "draft", f"template {template.name}", template.client_id)
    return draft


def use(
    session: Session, template: Template, mark: str, by: str, rules: Rules = form_only
) -> Change[Template]:
    """Make the draft the version in use.

    :param mark: of the draft that whoever says so has seen.
    :raises Refused: when it is another by now, or would not be accepted any more.
    """
    draft = _seen(session, template, mark)
    spec = TemplateSpec(
        name=template.name, kind=template.kind, body=draft.body, media=list(draft.media)
    )
    client = session.get_one(Client, template.client_id)
    change = catalog.save(session, client, spec, template, by, rules)
    session.delete(draft)
    session.flush()
    return change


def discard(session: Session, template: Template, mark: str, by: str) -> None:
    """Throw the draft away; its files go where nothing else shows them.

    :raises Refused: when it is another by now.
    """
    media = list(_seen(session, template, mark).media)
    session.execute(delete(TemplateDraft).filter_by(template_id=template.id))
    deletion.let_files_go(session, template, media)
    target = f"draft of template {template.name}"
    audit.record(session, by, "delete", target, template.client_id)


def forget(session: Session, template: Template) -> None:
    """Let the draft go that has just been saved as a version, perhaps with changes."""
    draft = find(session, template)
    if draft is not None:
        session.delete(draft)
        session.flush()
        deletion.let_files_go(session, template, draft.media)


def _seen(session: Session, template: Template, mark: str) -> TemplateDraft:
    session.refresh(template, with_for_update=True)
    draft = find(session, template)
    if draft is None or draft.mark != mark:
        raise Refused.because(CHANGED, "draft", code="changed")
    return draft
