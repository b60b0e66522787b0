"""Who of those whose turn has come may go: the rules and the limits, asked at the claim.

What was right when a message was taken on can be wrong when it goes out. Whoever may not be
reached any more is refused here. What is over a limit of its client waits, and is not looked at
again until there is room: a message to a phone that has had enough until its own time, the batches
of a client that has spent enough until the client's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session, load_only

from app.domain import reach
from app.domain.audience import in_force
from app.domain.clients import spending
from app.domain.clients.spending import Amount, Spent
from app.domain.reach import Refusal
from app.domain.sending import allowance, breaker, statuses
from app.models.client import Client
from app.models.credential import Credential
from app.models.message import Message, MessageState
from app.models.route import Destination
from app.models.sender import Sender
from app.outbound.send import recipients_hours
from app.outbound.send.candidates import Candidate

MARGIN = timedelta(seconds=1)


class Admission:
    """The rules as they are now for the senders of some messages, in one transaction."""

    def __init__(self, session: Session, messages: Sequence[Candidate], now: datetime) -> None:
        self._session, self._now = session, now
        self._tried: set[str] = set()
        found = session.execute(
            select(Sender, Client, Credential)
            .join(Client, Client.id == Sender.client_id)
            .join(Credential, Credential.id == Sender.credential_id)
            .where(Sender.id.in_({one.sender_id for one in messages}))
            .options(
                load_only(
                    Credential.name, Credential.trial, Credential.stopped_at,
                    Credential.stopped_reason,
                )
            )
            .execution_options(populate_existing=True)
        ).all()  # fmt: skip
        self._senders = {sender.id: sender for sender, _, _ in found}
        self._clients = {sender.id: client for sender, client, _ in found}
        self._standings = {
            sender.id: reach.standing(client, sender, credential)
            for sender, client, credential in found
        }

    def admit(self, messages: Sequence[Candidate]) -> set[str]:
        """End those that may not go at all; return the ids of those that may go now.

        Those who are outside their hours and those over a limit wait.
        """
        reachable = self._reachable(messages)
        outside = recipients_hours.put_off(
            self._session, reachable, lambda one: self._clients[one.sender_id], self._now
        )
        reachable = [one for one in reachable if one.id not in outside]
        counted = [one for one in reachable if _counts(one)]
        kept = self._within_limits(self._of_phones_with_room(counted))
        free = [one for one in reachable if one.id in kept or not _counts(one)]
        return self._of_open_senders(free)

    def count(self, messages: Sequence[Candidate]) -> None:
        """Write down what has been claimed."""
        for one in messages:
            if one.id in self._tried:
                breaker.begin_trial(self._session, breaker.key_of(one), one.id, self._now)
        amounts: dict[tuple[str, str], Amount] = defaultdict(Amount)
        for one in filter(_counts, messages):
            client = self._clients[one.sender_id]
            amounts[client.id, one.sender_id] += allowance.amount_of(one.destination, one.segments)
        spending.add(self._session, amounts, self._now)

    def _reachable(self, messages: Sequence[Candidate]) -> list[Candidate]:
        phones = {one.to for one in messages}
        ours = reach.own_numbers(self._session, phones)
        texts = [one for one in messages if one.destination is Destination.SMS]
        listed = in_force.in_force(
            self._session, {one.suppression_list_id for one in texts}, {one.to for one in texts}
        )
        may_go = []
        for one in messages:
            standing, sender = self._standings[one.sender_id], self._senders[one.sender_id]
            scopes = in_force.scopes_of(sender.id, sender.service_id)
            why = listed.why_not(one.suppression_list_id, one.to, scopes)
            if reach.silence(standing):
                continue  # it waits until somebody lets it go
            refusal = reach.why_not(standing, one.to, one.destination, ours, why)
            if refusal is None:
                may_go.append(one)
            else:
                self._end(one, refusal)
        return may_go

    def _of_open_senders(self, messages: Sequence[Candidate]) -> set[str]:
        """Of what a breaker holds, let one through where one is tried."""
        room = breaker.admitted(self._session, messages, self._now)
        kept = set()
        for one in messages:
            key = breaker.key_of(one)
            if room.get(key) == 0:
                continue
            if key in room:
                room[key] = 0
                self._tried.add(one.id)
            kept.add(one.id)
        return kept

    def _end(self, one: Candidate, refusal: Refusal) -> None:
        suppressed = refusal.code == "suppressed"
        statuses.end(
            self._session,
            one.id,
            MessageState.SUPPRESSED if suppressed else MessageState.REFUSED,
            before=(MessageState.WAITING,),
            reason=refusal.reason,
            error_code=refusal.error_code,
            error_message=refusal.sentence,
        )

    def _of_phones_with_room(self, messages: Sequence[Candidate]) -> list[Candidate]:
        limited = [one for one in messages if self._clients[one.sender_id].limit_phone_hour]
        clients = {self._clients[one.sender_id].id for one in limited}
        had = allowance.recent(self._session, clients, {one.to for one in limited}, self._now)
        later: dict[datetime, list[str]] = defaultdict(list)
        kept = []
        for one in messages:
            client = self._clients[one.sender_id]
            recent = had.get((client.id, one.to))
            most = client.limit_phone_hour
            if most is not None and recent is not None and recent.count >= most:
                later[recent.first + allowance.HOUR + MARGIN].append(one.id)
            else:
                kept.append(one)
        for due_at, ids in later.items():
            self._session.execute(
                update(Message)
                .where(Message.id.in_(ids))
                .values(due_at=due_at)
                .execution_options(synchronize_session=False)
            )
        return kept

    def _within_limits(self, messages: Sequence[Candidate]) -> set[str]:
        by_client: dict[str, list[Candidate]] = defaultdict(list)
        clients = {}
        for one in messages:
            client = self._clients[one.sender_id]
            if any(spending.limits_of(client, of) for of in spending.KINDS):
                clients[client.id] = client
                by_client[client.id].append(one)
        kept = {one.id for one in messages if self._clients[one.sender_id].id not in clients}
        spent = spending.spent_by(self._session, clients, self._now)
        for client_id in sorted(clients):
            client = clients[client_id]
            if any(spending.near(client, spent[client_id], of) for of in spending.KINDS):
                spending.take_turn(self._session.connection(), f"limits {client_id}")
                spent |= spending.spent_by(self._session, [client_id], self._now)
            kept |= self._first_that_fit(client, by_client[client_id], spent[client_id])
        return kept

    def _first_that_fit(
        self, client: Client, messages: Sequence[Candidate], spent: Spent
    ) -> set[str]:
        kept: set[str] = set()
        full: set[Destination] = set()
        for one in messages:
            wanted = allowance.amount_of(one.destination, one.segments)
            if one.destination in full:
                continue
            limit = spending.over(client, spent, wanted)
            if limit is None:
                kept.add(one.id)
                spent = spent.plus(wanted)
                continue
            full.add(one.destination)
            if not kept:  # else what is kept may not get a slot, and then leaves its room
                self._hold(client, one.destination, limit, wanted, spent)
        return kept

    def _hold(
        self,
        client: Client,
        destination: Destination,
        limit: spending.Limit,
        wanted: Amount,
        spent: Spent,
    ) -> None:
        """Let the client's batches wait until there is room."""
        until = spending.free_at(self._session, client.id, limit, wanted, spent, self._now)
        column = (
            Client.texts_held_until if destination is Destination.SMS else Client.calls_held_until
        )
        self._session.execute(
            update(Client)
            .where(Client.id == client.id)
            .values({column: until})
            .execution_options(synchronize_session=False)
        )


def _counts(one: Candidate) -> bool:
    """Single messages were counted when they were taken on, a try again is no second message."""
    return one.batch_id is not None and one.tries == 0
