"""The sandbox as a whole: its memory, clock, pool of threads and way to the application."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from .clock import Clock, Scheduler
from .faults import Faults
from .records import Account, Alert, Exchange, new_sid
from .settings import Settings
from .store import Store
from .webhooks import Answer, Caller, Pairs

log = logging.getLogger("sandbox")
API_VERSION = "2010-04-01"
WARNINGS = {12200, 14101, 14102, 14103, 14104, 14105, 14106, 14107, 14109, 15003, 21262, 11770}


@dataclass
class Delays:
    """Simulated seconds between the steps of a text or call, and until its price is known."""

    sent: float = 0.3
    delivered: float = 1.2
    price: float = 5.0
    ring: float = 1.0
    answer: float = 1.5
    recording: float = 1.0


class Sandbox:
    """Everything that the parts of the sandbox share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store()
        self.faults = Faults()
        self.delays = Delays()
        self.clock = Clock(settings.speed)
        self.scheduler = Scheduler(self.clock)
        self.pool = ThreadPoolExecutor(200, thread_name_prefix="sandbox")
        self.inboxes: dict[str, SimpleQueue[tuple[str, ...]]] = {}
        self._caller = Caller(self._record, self.store.next_number)

    def close(self) -> None:
        """Begin nothing more; the threads end once what they do is done."""
        self.scheduler.close()
        self._caller.close()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def _record(self, exchange: Exchange) -> None:
        self.store.exchanges.append(exchange)
        self.store.touch()

    def alert(self, code: int, text: str, sid: str = "", url: str = "") -> None:
        """Write a line into the debugger."""
        level = "WARNING" if code in WARNINGS else "ERROR"
        self.store.alerts.append(Alert(code, level, text, sid, url))
        self.store.touch()

    def submit(self, call: Callable[[], object]) -> None:
        """Run something that may take a while on the pool; a failure goes to the log."""

        def guarded() -> None:
            try:
                call()
            except Exception:
                log.exception("a step of the sandbox failed")

        self.pool.submit(guarded)

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Run something on the pool after so many simulated seconds."""
        self.scheduler.after(seconds, lambda: self.submit(call))

    def fetch(
        self, account: Account, url: str, method: str, params: Pairs, kind: str, sid: str
    ) -> Answer:
        """One webhook request, with the faults that are switched on."""
        faults = self.faults.webhooks
        if faults.delay:
            time.sleep(faults.delay)
        token = new_sid("")
        for _ in range(2 if self.faults.chance(faults.duplicate) else 1):
            answer = self._caller.fetch(
                account.auth_token, url, method, params, kind, sid, idempotency=token
            )
        if self.faults.chance(faults.drop_answer):
            return Answer(url, code=11206, error="The answer was dropped (a fault).")
        return answer

    def notify(
        self, account: Account, url: str, method: str, params: Pairs, kind: str, sid: str
    ) -> None:
        """A status callback: its answer is ignored, failures go to the debugger."""
        faults = self.faults
        if faults.chance(faults.webhooks.drop_callbacks):
            return
        answer = self.fetch(account, url, method, params, kind, sid)
        if answer.code is not None:
            code = 15003 if answer.status >= 400 and kind.startswith("call") else answer.code
            self.alert(code, answer.error, sid, url)

    def fetch_document(
        self,
        account: Account,
        urls: Sequence[tuple[str | None, str]],
        params: Pairs,
        kind: str,
        sid: str,
    ) -> Answer | None:
        """Fetch TwiML from the first URL, or from the fallback with ErrorCode and ErrorUrl."""
        (url, method), *rest = urls
        if not url:
            return None
        answer = self.fetch(account, url, method, params, kind, sid)
        if answer.code is None:
            return answer
        self.alert(answer.code, answer.error, sid, url)
        return self.fetch_fallback(account, rest, params, kind, sid, answer)

    def fetch_fallback(
        self,
        account: Account,
        rest: Sequence[tuple[str | None, str]],
        params: Pairs,
        kind: str,
        sid: str,
        failed: Answer,
    ) -> Answer | None:
        """Ask the fallback URL after a failure; None if there is none or it fails as well."""
        for url, method in rest:
            if url:
                extra = [("ErrorCode", str(failed.code)), ("ErrorUrl", failed.url)]
                answer = self.fetch(
                    account, url, method, [*params, *extra], kind + " fallback", sid
                )
                if answer.code is None:
                    return answer
                self.alert(answer.code, answer.error, sid, url)
        return None

    def fetch_sound(self, url: str, sid: str) -> Answer | None:
        """Fetch a sound for <Play>, without Twilio's parameters; an Answer only if it failed."""
        answer = self._caller.fetch("", url, "GET", (), "sound", sid)
        if answer.code is None and not answer.content_type.startswith("audio/"):
            answer.code = 12300
            answer.error = f"Invalid Content-Type {answer.content_type or '(none)'} of a sound."
        return None if answer.code in (None, 11750) else answer

    def fetch_file(self, url: str, method: str, sid: str, limit: int) -> Answer:
        """HEAD or GET of a file that a text links to, without signature or parameters."""
        return self._caller.fetch("", url, method, (), "picture", sid, limit)

    def account(self, sid: str) -> Account:
        """The account with this identifier."""
        return self.store.accounts[sid]
