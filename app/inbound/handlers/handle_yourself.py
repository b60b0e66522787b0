"""The client answers by itself: Twilio is sent on to the client's URL."""

from __future__ import annotations

from app.domain import urls
from app.inbound.handlers import Answer
from app.inbound.lookup import RouteFacts
from app.models.incoming import Outcome
from app.models.route import Channel
from app.twiml import messaging, voice

CIRCLE = "The route leads back to Dispatch itself. Give it the address of your own system."


def answer(route: RouteFacts, channel: Channel) -> Answer:
    """Redirect to the route's URL.

    The number's URLs at Twilio point there directly; this serves those that still point to us.
    """
    if not route.url:
        raise ValueError("a route of kind handle_yourself has no URL")
    if urls.points_here(route.url):
        sorry = messaging.empty() if channel is Channel.SMS else voice.apology()
        return Answer(sorry, Outcome.LOOP_STOPPED, error=CIRCLE, flagged=True)
    redirect = messaging.redirect if channel is Channel.SMS else voice.redirect
    return Answer(redirect(route.url), Outcome.REDIRECTED)
