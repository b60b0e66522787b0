"""The sandbox's memory: every account, number, text, call and what was seen on the way."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from .records import (
    Account,
    Alert,
    Call,
    CallerId,
    Exchange,
    Media,
    Message,
    Number,
    Phone,
    Recording,
    Service,
)


class Store:
    """Dictionaries under one lock. `version` grows with every change; the page waits on it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition()
        self.version = 0
        self.accounts: dict[str, Account] = {}
        self.numbers: dict[str, Number] = {}
        self.services: dict[str, Service] = {}
        self.caller_ids: dict[str, CallerId] = {}
        self.messages: dict[str, Message] = {}
        self.by_phone: dict[str, list[Message]] = {}
        self.media: dict[str, Media] = {}
        self.calls: dict[str, Call] = {}
        self.recordings: dict[str, Recording] = {}
        self.phones: dict[str, Phone] = {}
        self.opted_out: set[tuple[str, str]] = set()
        self.whispers: dict[str, list[Message]] = {}
        self.loops: dict[tuple[str, str], tuple[int, float]] = {}
        self.exchanges: deque[Exchange] = deque(maxlen=400)
        self.alerts: deque[Alert] = deque(maxlen=400)
        self.mails: deque[dict[str, Any]] = deque(maxlen=200)
        self.hits: deque[dict[str, Any]] = deque(maxlen=400)
        self.arrivals: list[dict[str, Any]] = []
        self.watched: dict[str, float] = {}
        self._counter = itertools.count(1)

    def next_number(self) -> int:
        """A number for the next line of the webhook log."""
        return next(self._counter)

    def touch(self) -> None:
        """Say that something changed, so that the page looks again."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()

    def wait_for_change(self, since: int, seconds: float) -> int:
        """Wait until the version differs from `since`, at most so many real seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != since, seconds)
            return self.version

    def number_by_sid(self, sid: str) -> Number | None:
        """The number with this PN identifier."""
        return next((n for n in list(self.numbers.values()) if n.sid == sid), None)

    def numbers_of(self, service_sid: str) -> list[Number]:
        """The sender pool of a messaging service, oldest first."""
        pool = [n for n in list(self.numbers.values()) if n.service_sid == service_sid]
        return sorted(pool, key=lambda n: n.date_created)

    def add_message(self, message: Message) -> None:
        """Put a text into the log."""
        with self.lock:
            self.messages[message.sid] = message
            self.by_phone.setdefault(message.to, []).append(message)
            if message.from_:
                self.by_phone.setdefault(message.from_, []).append(message)
            for item in message.media:
                self.media[item.sid] = item

    def assign_sender(self, message: Message, phone: str) -> None:
        """A messaging service has chosen the number that this text goes out from."""
        with self.lock:
            if message.from_ is None:
                message.from_ = phone
                self.by_phone.setdefault(phone, []).append(message)

    def remove_message(self, message: Message) -> None:
        """Delete a text from the log, with its media."""
        with self.lock:
            self.messages.pop(message.sid, None)
            for phone in {message.to, message.from_}:
                if phone and message in self.by_phone.get(phone, []):
                    self.by_phone[phone].remove(message)
            for item in message.media:
                self.media.pop(item.sid, None)

    def messages_newest_first(self, *phones: str) -> Iterator[Message]:
        """Texts of the given phones (the shortest index is walked), or all of them."""
        with self.lock:
            if phones:
                indexes = [self.by_phone.get(phone, []) for phone in phones]
                rows = list(sorted(indexes, key=len)[0])
            else:
                rows = list(self.messages.values())
        return reversed(rows)

    def is_opted_out(self, phone: str, number: str | None, service: str | None) -> bool:
        """Whether `phone` said STOP to this number or to this messaging service."""
        return any((scope, phone) in self.opted_out for scope in (number, service) if scope)

    def phone(self, number: str) -> Phone:
        """How this phone behaves; a phone never mentioned behaves as by default."""
        with self.lock:
            return self.phones.setdefault(number, Phone(phone=number))
