"""Routes read back: in the shape in which people write them, and in words."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import object_session

from app.models.audience import Population
from app.models.endpoint import Endpoint
from app.models.media import Recording
from app.models.route import Route
from app.models.template import Template

_DEFAULTS: dict[str, object] = {"loop": 1, "timeout": 30, "caller_id": "caller"}


def describe(route: Route) -> dict[str, Any]:
    """Return the route as people write it, without what is the default anyway."""
    session = object_session(route)
    if session is None:
        raise ValueError("the route belongs to no session")
    data: dict[str, Any] = {"handler": str(route.handler), **route.options}
    if route.template_id:
        data["template"] = session.get_one(Template, route.template_id).name
    if route.population_id:
        data["population"] = session.get_one(Population, route.population_id).name
    if route.endpoint_id:
        data["endpoint"] = session.get_one(Endpoint, route.endpoint_id).name
    if route.recording_id:
        data["recording"] = session.get_one(Recording, route.recording_id).name
    if route.url:
        data["url"] = route.url
    if route.keywords:
        data["keywords"] = [
            {"match": rule.match, "template": session.get_one(Template, rule.template_id).name}
            for rule in route.keywords
        ]
    return {name: value for name, value in data.items() if _DEFAULTS.get(name) != value}


def sentence(route: Route) -> str:
    """Say in words what the route does."""
    data = describe(route)
    match data:
        case {"handler": "auto_reply", "template": template}:
            text = f"Answers each text with the template “{template}”"
            rules = [
                f"{rule['match']} with “{rule['template']}”" for rule in data.get("keywords", [])
            ]
            return f"{text}; {', '.join(rules)}." if rules else f"{text}."
        case {"handler": "forward_to_email", "population": population}:
            return f"Mails each text to the members of “{population}”."
        case {"handler": "forward_to_webhook", "endpoint": endpoint}:
            return f"Forwards each text to the endpoint “{endpoint}”."
        case {"handler": "call_forward", "to": to}:
            after = (
                f"; when nobody answers: “{data['no_answer_say']}”"
                if "no_answer_say" in data
                else ""
            )
            seconds = data.get("timeout", _DEFAULTS["timeout"])
            return _ended(f"Forwards the call to {to}, which rings for {seconds} seconds{after}")
        case {"handler": "play_message"}:
            return _played(data)
        case _:
            return f"Lets {data['url']} answer."


def _played(data: dict[str, Any]) -> str:
    if "say" in data:
        what = f"Says “{data['say']}”"
    elif "recording" in data:
        what = f"Plays the recording “{data['recording']}”"
    else:
        what = f"Plays {data['audio_url']}"
    loop = data.get("loop", 1)
    return (
        _ended(what) if loop == 1 else f"{what}, {f'{loop} times' if loop else 'again and again'}."
    )


def _ended(text: str) -> str:
    """End a sentence that may end with words which have their own full stop already."""
    return text if text.endswith((".”", "!”", "?”")) else f"{text}."
