"""What a sender should know before a batch is started, though it may go ahead."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.domain import reach
from app.domain.clients import prices
from app.domain.content.voice_templates import ANSWERED_BY
from app.domain.sending.calls import detection_of
from app.domain.sending.composing import Plan
from app.domain.sending.confirmation import UNCONFIRMED
from app.domain.sending.forecast import Forecast, Warned
from app.models.client import Client
from app.models.communication import Communication, MachineDetection, Purpose
from app.models.credential import Credential
from app.models.route import Destination
from app.models.sender import Sender, SenderKind, SenderType

MANY = 100
"""Recipients from which a long code is the wrong sender: carriers filter it (Twilio)."""


def cautions(
    found: Forecast,
    plan: Plan,
    client: Client,
    sender: Sender,
    credential: Credential,
    communication: Communication,
) -> Iterator[Warned]:
    """Yield every warning."""
    if found.begins_at is not None:
        yield Warned(
            "quiet_hours",
            f"It is quiet from {client.quiet_from} to {client.quiet_to} ({client.time_zone}):"
            f" nothing goes out before then.",
        )
    yield from _of_the_clocks(found, client)
    for name, count in found.elsewhere.most_common():
        yield Warned(
            "opted_out_elsewhere",
            f"{'One person has' if count == 1 else f'{count:,} people have'} written STOP to"
            f" another of your numbers (list “{name}”), and would get this all the same. To leave"
            " them out, choose that list as the suppression list, or add them to the one that is.",
        )
    if credential.unconfirmed_since is not None:
        yield Warned("unconfirmed", f"The Twilio account {credential.name} {UNCONFIRMED}")
    if trial := reach.standing(client, sender, credential).trial:
        yield Warned("trial", f"{trial}: only phones on the allow-list are reached.")
    if found.to_look_up:
        yield Warned("line_types", _look_up(found))
    if plan.destination is Destination.SMS:
        yield from _of_the_sender(found, sender, communication)
        yield from _of_the_texts(found, plan)
    else:
        yield from _of_the_call(found, plan)


def _of_the_clocks(found: Forecast, client: Client) -> Iterator[Warned]:
    """Say what the clocks show where people are, by their area codes."""
    if found.outside and found.last_opens_at is not None:
        there = found.last_opens_at.astimezone(ZoneInfo(client.time_zone))
        yield Warned(
            "recipient_hours",
            f"{_people(found.outside)} outside {client.recipient_from} to {client.recipient_to}"
            f" where they are: each waits until it is that time there, the last until"
            f" {there:%b} {there.day}, {there:%H:%M} ({client.time_zone}).",
        )
    if found.night:
        yield Warned(
            "night",
            f"It is night (after 21:00 or before 8:00) where"
            f" {_people(found.night)}, by their area code.",
        )


def _look_up(found: Forecast) -> str:
    many = found.to_look_up
    return (
        f"{'One phone is' if many == 1 else f'{many:,} phones are'} looked up at Twilio first,"
        f" for about ${max(found.look_up_cost, Decimal('0.01')):,.2f} beside the texts"
        f" (${prices.LINE_TYPE} each): landlines among them are left out."
    )


def _people(count: int) -> str:
    return "one person is" if count == 1 else f"{count:,} people are"


def _of_the_sender(
    found: Forecast, sender: Sender, communication: Communication
) -> Iterator[Warned]:
    long_code = sender.kind is SenderKind.TWILIO and sender.type is SenderType.LONG_CODE
    if long_code and found.recipients >= MANY:
        yield Warned(
            "long_code",
            f"{found.recipients:,} recipients from one long code: {MANY} or more are a broadcast,"
            " which carriers take for spam and filter. Use a messaging service, a toll-free number"
            " or a short code.",
        )
    if long_code and sender.service_id is None:
        yield Warned(
            "unregistered",
            "This number is in no messaging service, so it is probably not registered for"
            " application texts (A2P 10DLC), and US carriers block it.",
        )
    if communication.purpose is Purpose.MARKETING and sender.type is not SenderType.SHORT_CODE:
        yield Warned("marketing", "Marketing should go out from a short code only.")


def _of_the_call(found: Forecast, plan: Plan) -> Iterator[Warned]:
    """Say that a machine's greeting would talk over what the template says to machines."""
    begins_at_once = detection_of(plan.options) is MachineDetection.CONTINUE
    for_machines = ANSWERED_BY in plan.steps[0].body and any(
        line.startswith(("Says", "Plays")) for line in found.heard.get("machine", ())
    )
    if begins_at_once and for_machines:
        yield Warned(
            "wait_for_beep",
            "The template speaks to answering machines, but with “continue” it begins while a"
            " machine's greeting still runs, and its recording misses the beginning. “Wait for the"
            " beep” (wait_for_beep) speaks after the greeting.",
        )


def _of_the_texts(found: Forecast, plan: Plan) -> Iterator[Warned]:
    if plan.suppression_list_id is None:
        yield Warned(
            "no_suppression_list",
            "No suppression list is chosen: people who have opted out cause delivery errors.",
        )
    if found.longest > 1 and not plan.options.get("sendAsMms"):
        yield Warned(
            "long_text",
            f"The longest text is split into {found.longest} segments, each of which is charged."
            " Some carriers deliver them one by one, in no certain order; sent as MMS (an option of"
            " the communication) it arrives in one piece.",
        )
    if found.ucs2:
        yield Warned(
            "ucs2",
            f"{found.ucs2:,} texts hold characters outside the GSM alphabet, so that a segment"
            " has room for 70 instead of 160.",
        )
