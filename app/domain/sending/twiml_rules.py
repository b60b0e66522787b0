"""Where a client's TwiML may lead: the rules of a text or call by REST, for every way onward.

`app.twiml.onward` knows the ways. Phones and caller IDs go by the rules of messages; hosts are the
client's own endpoints, its ``handle_yourself`` addresses and its ``twiml_hosts``, since their TwiML
may do what it likes; SIP goes to its ``sip_domains`` only; a client on trial uses neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import reach
from app.domain.reach import Refusal
from app.domain.sending.messages import check_sender
from app.extensions import current_settings
from app.models.client import Client
from app.models.credential import Credential
from app.models.endpoint import Endpoint, EndpointKind
from app.models.route import Destination, Handler, Route
from app.models.sender import Sender, SenderKind
from app.twiml.addresses import listed_host, sip_domain, web_origin
from app.twiml.onward import Way, ways_onward
from app.twiml.parse import Element, Problem
from app.twiml.values import Leads


class TwimlRules:
    """The rules of one client, for the calls of one sender; what they need is read once.

    :param sender: None while it is not known, as when a template is saved.
    """

    def __init__(self, session: Session, client: Client, sender: Sender | None = None) -> None:
        self.client = client
        self._session = session
        self._sender = sender
        self._ours_among: dict[str, bool] = {}
        self._check = {
            Leads.PHONE: self._phone,
            Leads.CALLER_ID: self._caller_id,
            Leads.HOST: self._host,
            Leads.SIP: self._sip,
        }

    def check(self, root: Element) -> None:
        """Make sure that the document may be served, and write its phones as they were read.

        :raises Refusal: ``not_allowed``, or ``template_error`` for what is no number; ``halted``
            and the like for a <Dial> of who may send nothing just now.
        """
        calls = any(element.name == "Dial" for element in root.walk())
        if calls and (refusal := reach.silence(self._standing)):
            raise refusal
        for way in ways_onward(root):
            self._one(way)

    def problems(self, root: Element) -> Iterator[Problem]:
        """Yield all that the rules forbid in a document that is to be saved, with its place."""
        for way in ways_onward(root):
            try:
                self._one(way)
            except Refusal as refusal:
                yield Problem(way.element.line, way.element.column, refusal.sentence)

    def _one(self, way: Way) -> None:
        if way.leads in self._check:
            self._check[way.leads](way)

    def _phone(self, way: Way) -> None:
        to = _normalized(way.value)
        if to not in self._ours_among:
            self._ours_among[to] = bool(reach.own_numbers(self._session, [to]))
        ours = [to] if self._ours_among[to] else []
        if refusal := reach.why_not(self._standing, to, Destination.VOICE, ours):
            raise _refused(refusal.sentence)
        way.put(to)

    def _caller_id(self, way: Way) -> None:
        shown = _normalized(way.value)
        found = self._numbers.get(shown)
        if found is None:
            raise _refused(
                f"{shown} is not a number of {self.client.name}, so it cannot be shown as the"
                " caller; use one of your own numbers, or have it verified."
            )
        sender, credential = found
        try:
            check_sender(sender, credential, Destination.VOICE)
        except Refusal as refusal:
            raise _refused(f"It cannot be shown as the caller. {refusal}") from refusal
        if self._credential and self._credential.account_sid != credential.account_sid:
            raise _refused(
                f"{shown} belongs to another Twilio account than the number that calls, so it"
                " cannot be shown as the caller."
            )
        way.put(shown)

    def _host(self, way: Way) -> None:
        origin = web_origin(way.value)
        if origin is None:  # said by app.twiml.check
            return
        self._refuse_trial("ask another system or report to it")
        if origin in self._ours:
            raise _refused(f"“{origin.host}” is Dispatch itself, which answers its own calls only.")
        if not origin.is_among(self._hosts):
            raise _refused(
                f"“{origin.host}” is no host of {self.client.name}, and what it answers could call"
                " anybody. An owner adds it to the hosts for TwiML (twiml_hosts) in the settings."
            )

    def _sip(self, way: Way) -> None:
        domain = sip_domain(way.value)
        if domain is None:
            return
        self._refuse_trial("call SIP addresses")
        if domain not in self.client.sip_domains:
            raise _refused(
                f"“{domain}” is no SIP domain of {self.client.name}. An owner adds it to the SIP"
                " domains (sip_domains) in the settings."
            )

    def _refuse_trial(self, what: str) -> None:
        if trial := self._standing.trial:
            raise _refused(f"{trial[:1].upper()}{trial[1:]}, so its calls may not {what}.")

    @cached_property
    def _hosts(self) -> frozenset[str]:
        endpoints = select(Endpoint.url).where(
            Endpoint.client_id == self.client.id, Endpoint.kind == EndpointKind.WEBHOOK
        )
        routes = select(Route.url).where(
            Route.client_id == self.client.id, Route.handler == Handler.HANDLE_YOURSELF
        )
        urls = [*self._session.scalars(endpoints), *self._session.scalars(routes)]
        own = {host for url in urls if url and (host := _host_of(url))}
        return frozenset(own.union(self.client.twiml_hosts))

    @cached_property
    def _ours(self) -> list[object]:
        settings = current_settings()
        return [web_origin(url) for url in (settings.public_base_url, settings.short_link_base_url)]

    @cached_property
    def _numbers(self) -> dict[str, tuple[Sender, Credential]]:
        rows = self._session.execute(
            select(Sender, Credential)
            .join(Credential, Credential.id == Sender.credential_id)
            .where(Sender.client_id == self.client.id, Sender.kind != SenderKind.MESSAGING_SERVICE)
        )
        return {sender.address: (sender, credential) for sender, credential in rows}

    @cached_property
    def _credential(self) -> Credential | None:
        """The Twilio account of the number that calls: others' numbers it cannot show (13214)."""
        if self._sender is None:
            return None
        return self._session.get_one(Credential, self._sender.credential_id)

    @cached_property
    def _standing(self) -> reach.Standing:
        return reach.standing(self.client, self._sender, self._credential)


def _normalized(written: str) -> str:
    try:
        return reach.normalized(written)
    except Refusal as refusal:
        raise Refusal("template_error", f"In the TwiML: {refusal}", "twiml") from refusal


def _host_of(url: str) -> str | None:
    """Return the host of an address that was saved; letters outside ASCII in their other form."""
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    try:
        return listed_host(authority.rpartition("@")[2]).partition(":")[0]
    except ValueError:
        return None


def _refused(sentence: str) -> Refusal:
    return Refusal("not_allowed", f"In the TwiML: {sentence}", "twiml")
