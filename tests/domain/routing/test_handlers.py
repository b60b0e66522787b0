"""Handlers: each is complete, and a route inside a route is read by the same means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from flask import Flask

from app.domain.mistakes import Refused
from app.domain.routing import handlers, routes
from app.domain.routing.handlers.base import HandlerSpec, Nested, Shown, note, own_fields, walk
from app.domain.routing.handlers.call_forward import CallForward
from app.domain.specs import Spec
from app.inbound.handlers import CALLS, TEXTS
from app.models.route import Destination, Handler

ANSWERS = {Destination.SMS: TEXTS, Destination.VOICE: CALLS}


def test_every_handler_has_a_specification() -> None:
    assert set(handlers.SPECS) == {handler.value for handler in Handler}


@pytest.mark.parametrize("destination", Destination)
def test_whatever_can_be_chosen_is_answered_and_nothing_else_is(destination: Destination) -> None:
    offered = {Handler(spec.name()) for spec in handlers.offered(destination) if not spec.leads_on}
    assert set(ANSWERS[destination]) == offered


def _fields(model: type[Spec]) -> list[tuple[str, Any]]:
    return [(f"{model.__name__}.{name}", field) for name, field in own_fields(model)]


@pytest.mark.parametrize("spec", handlers.SPECS.values(), ids=handlers.SPECS)
def test_every_handler_has_its_words_and_every_field_its_label(spec: type[HandlerSpec]) -> None:
    assert spec.label
    assert spec.hint.endswith(".")
    assert spec.destinations
    assert [name for name, field in _fields(spec) if note(field, Shown) is None] == []


class Menu(HandlerSpec):
    """Keys that lead to other routes: as handlers will be that hold routes."""

    label, hint, destinations = "Menu", "Callers press a key.", (Destination.SMS, Destination.VOICE)

    handler: Literal["menu"]
    say: Annotated[str, Shown("Greeting")] = "Welcome."
    keys: dict[str, Nested]
    otherwise: Nested | None = None

    def sentence(self) -> str:
        keys = " ".join(f"{key}: {route.sentence()}" for key, route in self.keys.items())
        return f"Says “{self.say}” {keys}"


@pytest.fixture
def menus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(handlers.SPECS, "menu", Menu)


FORWARD = {"handler": "call_forward", "to": "(319) 555-0123"}
HELLO = {"handler": "play_message", "say": "Hello."}


@pytest.mark.usefixtures("menus")
def test_routes_inside_a_route_are_read_and_written_as_the_outer_one_is() -> None:
    inner = {"handler": "menu", "keys": {"1": FORWARD}, "otherwise": HELLO}
    spec = routes.parse(Destination.VOICE, {"handler": "menu", "keys": {"1": inner, "2": HELLO}})
    forward = FORWARD | {"to": "+13195550123"}
    assert routes.shape(spec) == {
        "handler": "menu",
        "keys": {"1": inner | {"keys": {"1": forward}}, "2": HELLO},
    }
    assert "Forwards the call to +13195550123" in spec.sentence()
    places = {path: type(part) for path, part in walk(spec)}
    assert places[()] is Menu
    assert places["keys", "1", "keys", "1"] is CallForward
    assert len(places) == 5


WRONG = {
    "a faulty field": ({"1": {"handler": "call_forward", "to": "x"}}, "keys.1.to"),
    "a handler of texts": ({"1": {"handler": "auto_reply", "template": "a"}}, "keys.1.handler"),
    "no route at all": ({"1": "play"}, "keys.1"),
    "a key too many": ({"1": HELLO | {"sya": "x"}}, "keys.1.sya"),
    "deep inside": (
        {"1": {"handler": "menu", "keys": {"2": {"handler": "play_message"}}}}, "keys.1.keys.2"),
}  # fmt: skip


@pytest.mark.usefixtures("menus")
@pytest.mark.parametrize(("keys", "field"), WRONG.values(), ids=WRONG)
def test_a_mistake_inside_names_its_place(keys: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as caught:
        routes.parse(Destination.VOICE, {"handler": "menu", "keys": keys})
    assert [mistake.field for mistake in caught.value.mistakes] == [field]


@pytest.mark.usefixtures("menus")
def test_routes_go_five_deep_and_no_deeper() -> None:
    def deep(depth: int) -> dict[str, Any]:
        return {"handler": "menu", "keys": {"1": deep(depth - 1)}} if depth > 1 else HELLO

    assert len(list(walk(routes.parse(Destination.VOICE, deep(5))))) == 5
    with pytest.raises(Refused, match="At most 5 routes") as caught:
        routes.parse(Destination.VOICE, deep(6))
    assert caught.value.mistakes[0].field == "keys.1.keys.1.keys.1.keys.1.keys.1.handler"


def test_defaults_are_those_of_the_specification(app: Flask) -> None:
    with app.app_context():
        spec = routes.parse(Destination.VOICE, FORWARD)
        assert isinstance(spec, CallForward)
        assert (spec.timeout, spec.caller_id) == (30, "caller")
