"""What Twilio's own library can write is known here, and of each thing where it leads.

A new noun or attribute in the library makes this fail until somebody has decided about it.
"""

import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest
from twilio.base.exceptions import TwilioException
from twilio.twiml import TwiML, messaging_response, voice_response

from app.twiml.values import Leads
from app.twiml.verb import Verb
from app.twiml.verbs import MESSAGING_VERBS, VOICE_VERBS


def _classes(module: ModuleType) -> list[type[TwiML]]:
    return [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, TwiML) and one.__module__ == module.__name__
    ]


def _made(one: type[TwiML]) -> TwiML:
    needed = [
        parameter
        for name, parameter in inspect.signature(one.__init__).parameters.items()
        if name != "self" and parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]  # fmt: skip
    return one(*["x"] * len(needed))


def _written(module: ModuleType) -> Iterator[tuple[str, str, set[str]]]:
    """Yield parent, child and the child's attributes, for each method that the library has."""
    for one in _classes(module):
        parent = _made(one)
        for name, method in vars(one).items():
            if name.startswith("_") or not inspect.isfunction(method):
                continue
            given = [
                parameter
                for parameter in inspect.signature(method).parameters
                if parameter not in ("self", "kwargs")
            ]
            child = method(parent, **dict.fromkeys(given, "x"))
            assert isinstance(child, TwiML), TwilioException(name)
            yield parent.name, child.name, set(child.attrs)


CASES = [
    (verbs, *found)
    for module, verbs in ((voice_response, VOICE_VERBS), (messaging_response, MESSAGING_VERBS))
    for found in _written(module)
]


@pytest.mark.parametrize(
    ("verbs", "parent", "child", "attributes"),
    CASES,
    ids=[f"{parent}-{child}" for _, parent, child, _ in CASES],
)
def test_what_the_library_writes_is_known(
    verbs: dict[str, Verb], parent: str, child: str, attributes: set[str]
) -> None:
    if verbs[parent].refused:
        return
    assert child in verbs[parent].children
    if not verbs[child].refused:
        assert attributes <= verbs[child].attributes.keys()


def test_every_class_of_the_library_is_known() -> None:
    written = {_made(one).name for one in _classes(voice_response)}
    assert len(written) > 50
    assert written <= VOICE_VERBS.keys()
    assert {_made(one).name for one in _classes(messaging_response)} <= MESSAGING_VERBS.keys()


ADDRESSES = ("url", "Url", "callback", "Callback", "action")


def test_no_address_leads_nowhere() -> None:
    """Whatever is called an address or a report goes by the hosts; no SID is taken as it is."""
    for name, verb in VOICE_VERBS.items():
        for attribute, value in verb.attributes.items():
            if attribute.endswith(ADDRESSES):
                assert value.leads is Leads.HOST, (name, attribute)
            if attribute.endswith("Sid"):
                assert value.leads is Leads.ACCOUNT, (name, attribute)
            if attribute.endswith("connectorName"):
                assert value.leads is Leads.NAME, (name, attribute)


def test_every_element_can_be_reached_or_is_refused() -> None:
    reached = {"Response"} | {child for verb in VOICE_VERBS.values() for child in verb.children}
    refused = {name for name, verb in VOICE_VERBS.items() if verb.refused}
    assert set(VOICE_VERBS) - refused <= reached
