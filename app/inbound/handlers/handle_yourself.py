"""The client answers by itself: Twilio is sent on to the client's URL."""

from __future__ import annotations

from collections.abc import Callable

from app.domain import reach, urls
from app.inbound.answers import Answer, CallContext, TextContext
from app.inbound.number import RouteFacts
from app.models.incoming import Outcome
from app.twiml import messaging, voice

CIRCLE = "The route leads back to Dispatch itself. Give it the address of your own system."


def text(context: TextContext, route: RouteFacts) -> Answer:
    """Redirect to the route's URL, unless nothing goes out just now, or it may not answer.

    The number's URLs at Twilio point there directly; this serves those that still point to us.
    """
    standing = context.number.standing
    if refusal := reach.silence(standing) or reach.handing_over(standing):
        return Answer(messaging.empty(), Outcome.NOT_REPLIED, error=refusal.sentence)
    return _redirect(route, messaging.redirect, messaging.empty)


def call(context: CallContext, route: RouteFacts) -> Answer:
    """Redirect to the route's URL, unless it may not answer."""
    if refusal := reach.handing_over(context.number.standing):
        return Answer(voice.neutral(), Outcome.NOT_REPLIED, error=refusal.sentence)
    return _redirect(route, voice.redirect, voice.apology)


def _redirect(
    route: RouteFacts, redirect: Callable[[str], str], sorry: Callable[[], str]
) -> Answer:
    if not route.url:
        raise ValueError("a route of kind handle_yourself has no URL")
    if urls.points_here(route.url):
        return Answer(sorry(), Outcome.LOOP_STOPPED, error=CIRCLE, flagged=True)
    return Answer(redirect(route.url), Outcome.REDIRECTED)
