"""Settings of a client: what owners choose, and what only support decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from flask import g, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.domain import mistakes
from app.domain.clients import enabling
from app.domain.clients import settings as client_settings
from app.domain.clients.settings import ClientSpec
from app.domain.mistakes import Refused
from app.domain.relaying import callbacks
from app.domain.relaying.callbacks import ClientCallbacksSpec
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.communication import CallbackEvent
from app.models.number import TwilioRequest
from app.staff.access import client_blueprint, require_owner, require_support, say
from app.staff.systems import callback_fields

ZONES = sorted(name for name in available_timezones() if "/" in name or name == "UTC")


@client_blueprint.get("/settings")
def settings() -> str:
    """Show the settings."""
    return _page(_stored(), callback_fields.saved(db.session(), g.client.id, None), [])


@client_blueprint.post("/settings")
def settings_save() -> Response | tuple[str, int]:
    """Save what owners choose."""
    require_owner()
    typed = {name: request.form.get(name, "").strip() for name in _stored()}
    typed["languages"] = " ".join(request.form.getlist("languages"))
    fields = callback_fields.typed(CallbackEvent)
    try:
        with unit_of_work() as session:
            client = session.get_one(Client, g.client.id)
            spec = mistakes.parse(ClientSpec, {"name": client.name, **_as_written(typed)})
            client_settings.save(session, spec, client, current_user.email)
            told = mistakes.parse(ClientCallbacksSpec, callback_fields.as_written(fields))
            callbacks.save_defaults(session, client, told, current_user.email)
    except Refused as refused:
        return _page(typed, fields, _sentences(refused)), 422
    say("Saved.")
    return redirect(url_for("client.settings"))


@client_blueprint.post("/settings/support")
def settings_support() -> Response | tuple[str, int]:
    """Save what only support decides."""
    require_support()
    data = {
        "name": g.client.name,
        "twilio_enabled": "twilio_enabled" in request.form,
        "international": "international" in request.form,
        "trial": "trial" in request.form,
        **{name: _lines(name) for name in _LISTS if name in request.form},
        "limits": {
            name: request.form[name].strip() or None for name in LIMITS if name in request.form
        },
    }
    try:
        with unit_of_work() as session:
            client = session.get_one(Client, g.client.id)
            spec = mistakes.parse(ClientSpec, data)
            client_settings.save(session, spec, client, current_user.email)
    except Refused as refused:
        fields = callback_fields.saved(db.session(), g.client.id, None)
        return _page(_stored(), fields, _sentences(refused), dict(request.form)), 422
    wake("relay")
    say("Saved.")
    return redirect(url_for("client.settings"))


_LISTS = ("allow_list", "denied_networks")


def _lines(name: str) -> list[str]:
    return [line.strip() for line in request.form[name].splitlines() if line.strip()]


@client_blueprint.post("/settings/sending")
def settings_sending() -> Response:
    """Stop all sending of this client at once, or let it go on."""
    require_support()
    halting = request.form.get("do") == "halt"
    with unit_of_work() as session:
        client = session.get_one(Client, g.client.id)
        (client_settings.halt if halting else client_settings.resume)(
            session, client, current_user.email
        )
    wake("send")
    said = "Nothing goes out any more." if halting else "Sending goes on."
    say(said, "warn" if halting else "good")
    return redirect(url_for("client.settings"))


@client_blueprint.post("/settings/twilio")
def settings_request() -> Response:
    """Ask support to enable Twilio."""
    with unit_of_work() as session:
        client = session.get_one(Client, g.client.id)
        reason = request.form.get("reason", "").strip()
        enabling.request_twilio(session, client, current_user.email, reason)
    wake("relay")
    say("Support has been asked. You get a mail when Twilio is enabled.")
    return redirect(url_for("client.settings"))


OPT_WORDS = ("stop", "start", "help")
LANGUAGES = {"en": "English", "es": "Spanish", "fr": "French", "zh": "Chinese"}
LIMITS = {
    "segments_per_hour": "segments of texts an hour",
    "segments_per_day": "segments of texts a day",
    "call_minutes_per_hour": "minutes of calls an hour",
    "call_minutes_per_day": "minutes of calls a day",
    "messages_per_phone_per_hour": "messages to one phone an hour",
}
LABELS = {
    **{name: f"At most, {words}" for name, words in LIMITS.items()},
    "owner_email": "Who is told of trouble",
    "time_zone": "Time zone",
    "retention_days": "Keep texts for",
    "line_type_lookup": "Look up landlines",
    "approval_above": "Ask somebody else",
    "remind_after": "Remind of what nobody answered",
    "quiet_hours": "Quiet hours",
    "recipient_hours": "When people may be reached",
    "stop": "Words that mean STOP",
    "start": "Words that mean START",
    "help": "Words that mean HELP",
    "twiml_hosts": "Hosts that calls may ask",
    "sip_domains": "SIP domains that calls may reach",
    "allow_list": "Allow list",
    "denied_networks": "Closed networks",
    "segments_per_month": "Warn me, segments of texts",
    "call_minutes_per_month": "Warn me, minutes of calls",
}
"""What the form calls the settings."""


def _sentences(refused: Refused) -> list[str]:
    """Return what is wrong, in the words of the form."""
    found = []
    for mistake, said in zip(refused.mistakes, callback_fields.sentences(refused), strict=True):
        names = [part for part in mistake.path if part in LABELS]
        label = LABELS[str(names[-1])] if names else ""
        plain = said.replace(f"“{names[-1]}”", "this") if names else said
        found.append(f"{label}: {plain}" if label else plain)
    return found


def _stored() -> dict[str, str]:
    client: Client = g.client
    return {
        "owner_email": client.owner_email,
        "time_zone": client.time_zone,
        "quiet_from": client.quiet_from or "",
        "quiet_to": client.quiet_to or "",
        "recipient_from": client.recipient_from or "",
        "recipient_to": client.recipient_to or "",
        "languages": " ".join(client.languages),
        **{f"opt_{what}": "\n".join(client.opt_words.get(what, ())) for what in OPT_WORDS},
        "retention_days": str(client.retention_days),
        "line_type_lookup": "on" if client.line_type_lookup else "",
        "approval_above": "" if client.approval_above is None else str(client.approval_above),
        "remind_after": str(client.remind_after or ""),
        "twiml_hosts": "\n".join(client.twiml_hosts),
        "sip_domains": "\n".join(client.sip_domains),
        "alert_segments": str(client.alert_segments or ""),
        "alert_call_minutes": str(client.alert_call_minutes or ""),
        "alert_halts": "on" if client.alert_halts else "",
    }


def _as_written(typed: dict[str, str]) -> dict[str, Any]:
    """Return the form in the shape of the configuration file."""
    quiet = {"from": typed["quiet_from"], "to": typed["quiet_to"]}
    hours = {"from": typed["recipient_from"], "to": typed["recipient_to"]}
    return {
        "owner_email": typed["owner_email"],
        "time_zone": typed["time_zone"],
        "languages": typed["languages"].split(),
        "opt_words": {
            what: [line for line in typed[f"opt_{what}"].splitlines() if line.strip()]
            for what in OPT_WORDS
        },
        "retention_days": typed["retention_days"],
        "line_type_lookup": bool(typed["line_type_lookup"]),
        "approval_above": typed["approval_above"] or None,
        "remind_after": typed["remind_after"] or None,
        "twiml_hosts": typed["twiml_hosts"].split(),
        "sip_domains": typed["sip_domains"].split(),
        "quiet_hours": quiet if any(quiet.values()) else None,
        "recipient_hours": hours if any(hours.values()) else None,
        "usage_alert": {
            "segments_per_month": typed["alert_segments"] or None,
            "call_minutes_per_month": typed["alert_call_minutes"] or None,
            "halt": bool(typed["alert_halts"]),
        },
    }


def _page(
    values: dict[str, str],
    fields: list[callback_fields.CallbackField],
    wrong: list[str],
    typed_limits: Mapping[str, str] | None = None,
) -> str:
    session = db.session()
    limits = typed_limits or client_settings.limits(g.client)
    return render_template(
        "staff/settings.html",
        values=values,
        limits={name: (words, limits.get(name)) for name, words in LIMITS.items()},
        zones=ZONES,
        languages=LANGUAGES,
        fields=fields,
        choices=callback_fields.choices(session, g.client.id),
        wrong=wrong,
        asked=_asked(session),
        is_support=current_user.is_support,
    )


def _asked(session: Session) -> TwilioRequest | None:
    return session.scalars(
        select(TwilioRequest)
        .where(TwilioRequest.client_id == g.client.id, TwilioRequest.granted_at.is_(None))
        .limit(1)
    ).one_or_none()
