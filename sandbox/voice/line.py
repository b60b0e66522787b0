"""One call while it is alive: waiting, keys, what is heard, requests, status callbacks.

Parameters and events by Twilio's documentation 'TwiML voice: Twilio's request' and 'Call resource:
status callbacks'.
"""

from __future__ import annotations

import math
import queue
from typing import Any

from .. import geo
from ..clock import rfc2822, utcnow
from ..core import API_VERSION, Sandbox
from ..records import Account, Call, Phone, Recording
from ..webhooks import Answer

Urls = list[tuple[str | None, str]]
GREETING_SECONDS = 9.0
"""How long an answering machine speaks before its tone."""
_MADE_BY_US = {"say", "play", "tones"}
ENDS = {"completed", "busy", "no-answer", "failed", "canceled"}


class HungUp(Exception):
    """The call is over for the person on the line; `by` says who ended it."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


class Canceled(Exception):
    """The caller, or the REST API, gave up before the phone was answered."""


class Jump(Exception):
    """Execution goes on with another document: a URL, or TwiML given directly."""

    def __init__(
        self,
        url: str | None,
        method: str = "POST",
        extra: list[tuple[str, str]] | None = None,
        twiml: str | None = None,
        kind: str = "call action",
    ) -> None:
        super().__init__(url or "TwiML")
        self.url, self.method, self.extra = url, method, extra or []
        self.twiml, self.kind = twiml, kind


class Line:
    """A live call. `plan` is how the person's phone behaves; `attended` means that somebody
    sits at the page and decides when to hang up."""

    def __init__(self, box: Sandbox, call: Call, plan: Phone, attended: bool = False) -> None:
        self.box, self.call, self.plan, self.attended = box, call, plan, attended
        self.account: Account = box.account(call.account_sid)
        self.inbox: queue.SimpleQueue[tuple[str, ...]] = box.inboxes.setdefault(
            call.sid, queue.SimpleQueue()
        )
        self.keys = ""
        self.speech = ""
        self.base = ""
        self.how = "person"
        self.barge_in = False
        self.declined = False
        self.fallbacks: Urls = []
        self.answered_at: float | None = None
        self.greets_until = 0.0

    # -- what the person perceives -------------------------------------------------------

    def hear(self, kind: str, text: str = "", **more: Any) -> None:
        """Add a step to what the person on the line hears or sees.

        What is said into a machine's greeting is `missed`: it records after its tone only.
        """
        if kind in _MADE_BY_US and self.box.clock.now() < self.greets_until:
            more["missed"] = True
        self.call.heard.append({"kind": kind, "text": text, "at": rfc2822(utcnow()), **more})
        self.box.store.touch()

    def wait(self, seconds: float, stop_on_key: bool = False) -> bool:
        """Let simulated time pass; True if a key or speech came and that was asked for.

        Raises HungUp or Jump when somebody hangs up or the REST API redirects the call.
        """
        deadline = self.box.clock.now() + seconds
        while True:
            if stop_on_key and (self.keys or self.speech):
                return True
            left = deadline - self.box.clock.now()
            if left <= 0:
                return False
            try:
                event = self.inbox.get(timeout=self.box.clock.real(left))
            except queue.Empty:
                continue
            self._take(event)

    def poll(self) -> None:
        """Take what has happened meanwhile; raises HungUp or Jump like `wait`."""
        while True:
            try:
                event = self.inbox.get_nowait()
            except queue.Empty:
                return
            self._take(event)

    def _take(self, event: tuple[str, ...]) -> None:
        kind, value = event[0], event[1] if len(event) > 1 else ""
        if kind == "digits":
            self.keys += value
            self.hear("pressed", value)
        elif kind == "speech":
            self.speech = value
            self.hear("said", value)
        elif kind == "hangup":
            raise HungUp(value or "caller")
        elif kind == "redirect":
            raise Jump(value, event[2], kind="call update")
        elif kind == "twiml":
            raise Jump(None, twiml=value)

    def key(self, seconds: float) -> str | None:
        """The next key, waiting so long for it; None when the time is over."""
        if not self.keys and not self.wait(seconds, stop_on_key=True):
            return None
        if not self.keys:
            return None
        first, self.keys = self.keys[0], self.keys[1:]
        return first

    def greet(self, text: str) -> None:
        """A machine has answered: its greeting goes on, whatever happens on the line, until the
        tone."""
        self.hear("machine", text)
        self.greets_until = self.box.clock.now() + GREETING_SECONDS

        def tone() -> None:
            if self.call.status not in ENDS:
                self.hear("tone", "The tone: from here on the machine records.")

        self.box.scheduler.at(self.greets_until, tone)

    # -- states --------------------------------------------------------------------------

    def state(self, status: str) -> None:
        """Move the call on; the time of answering and ending is kept."""
        call = self.call
        call.status, call.date_updated = status, utcnow()
        call.history.append(status)
        if status == "in-progress":
            call.start_time, self.answered_at = utcnow(), self.box.clock.now()
        if status in ENDS:
            call.end_time = utcnow()
            elapsed = 0.0 if self.answered_at is None else self.box.clock.now() - self.answered_at
            call.duration = math.ceil(elapsed) if self.answered_at is not None else 0
            call.waiting_for = call.ringing_for = None
        self.box.store.touch()

    def dialing(self) -> None:
        """The call leaves Twilio, and some moments later the phone rings.

        Raises Canceled if the call is given up in between.
        """
        self.emit("initiated", "initiated")
        try:
            self.wait(self.box.delays.ring)
        except (HungUp, Jump) as gone:
            raise Canceled from gone
        self.state("ringing")
        self.emit("ringing", "ringing")

    def answer(self) -> None:
        """The line is open (a verb that makes sound answers an incoming call)."""
        if self.answered_at is None:
            self.state("in-progress")
            self.emit("answered", "in-progress")

    def end(self, status: str) -> None:
        """The call is over: last state, last callback, price."""
        if self.call.status in ENDS:
            return
        self.state(status)
        self.hear("ended", status)
        self.box.inboxes.pop(self.call.sid, None)
        recording = self._whole_recording() if self.call.record else None
        self.emit("completed", status, recording)
        minutes = math.ceil((self.call.duration or 0) / 60)
        cents = 0.0085 if self.call.direction == "inbound" else 0.014
        price = f"-{minutes * cents:.5f}" if minutes else None
        self.box.scheduler.after(self.box.delays.price, lambda: setattr(self.call, "price", price))

    def _whole_recording(self) -> Recording | None:
        if not self.call.duration:
            return None
        recording = Recording(
            self.call.account_sid, self.call.sid, self.call.duration, "OutboundAPI"
        )
        self.box.store.recordings[recording.sid] = recording
        self.recording_callback(recording, self.call.recording_status_callback, "POST")
        return recording

    # -- requests ------------------------------------------------------------------------

    def params(self) -> list[tuple[str, str]]:
        """The parameters that every request about this call carries."""
        call = self.call
        params = [
            ("CallSid", call.sid),
            ("AccountSid", call.account_sid),
            ("ApiVersion", API_VERSION),
            ("From", call.from_),
            ("To", call.to),
            ("Caller", call.from_),
            ("Called", call.to),
            ("CallStatus", call.status),
            ("Direction", call.direction),
        ]
        for prefix, phone in (
            ("From", call.from_),
            ("To", call.to),
            ("Caller", call.from_),
            ("Called", call.to),
        ):
            params += geo.place(phone, prefix)
        if call.parent_call_sid:
            params.append(("ParentCallSid", call.parent_call_sid))
        if call.direction == "inbound":
            params.append(("StirVerstat", "TN-Validation-Passed-A"))
        return params

    def fetch(
        self, url: str, method: str, extra: list[tuple[str, str]], kind: str
    ) -> Answer | None:
        """Fetch a document; the fallback URL is asked after a failure. None if all failed."""
        urls: Urls = [(url, method), *self.fallbacks]
        return self.box.fetch_document(
            self.account, urls, [*self.params(), *extra], kind, self.call.sid
        )

    def emit(self, event: str, status: str, recording: Recording | None = None) -> None:
        """Send the status callback of an event, if it was asked for."""
        call = self.call
        if not call.status_callback or event not in call.status_events:
            return
        params = [(k, v) for k, v in self.params() if k != "CallStatus"]
        params += [
            ("CallStatus", status),
            ("Timestamp", rfc2822(utcnow()) or ""),
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", str(call.sequence)),
        ]
        call.sequence += 1
        if event == "completed":
            params += self._final_params(recording)
        url, method = call.status_callback, call.status_callback_method
        faults = self.box.faults

        def post() -> None:
            self.box.notify(self.account, url, method, params, "call status", call.sid)

        if faults.chance(faults.webhooks.shuffle_callbacks):
            self.box.later(faults.uniform(0.2, 2.0), post)
        else:
            self.box.submit(post)

    def _final_params(self, recording: Recording | None) -> list[tuple[str, str]]:
        call = self.call
        params = [("SipResponseCode", str(call.sip_code))]
        if call.duration is not None:
            params.append(("CallDuration", str(call.duration)))
            params.append(("Duration", str(math.ceil(call.duration / 60))))
        if call.answered_by:
            params.append(("AnsweredBy", call.answered_by))
        if recording is not None:
            params += self.recording_params(recording)
        return params

    def recording_url(self, recording: Recording) -> str:
        """Where the sound can be fetched (wav)."""
        base = f"{self.box.settings.public_url}/{API_VERSION}/Accounts/"
        return f"{base}{recording.account_sid}/Recordings/{recording.sid}"

    def recording_params(self, recording: Recording) -> list[tuple[str, str]]:
        """RecordingUrl, RecordingSid, RecordingDuration."""
        return [
            ("RecordingUrl", self.recording_url(recording)),
            ("RecordingSid", recording.sid),
            ("RecordingDuration", str(recording.duration)),
        ]

    def recording_callback(self, recording: Recording, url: str | None, method: str) -> None:
        """Tell the recordingStatusCallback, some time later, that the sound is ready."""
        if not url:
            return
        params = [
            ("AccountSid", recording.account_sid),
            ("CallSid", recording.call_sid),
            *self.recording_params(recording),
            ("RecordingStatus", recording.status),
            ("RecordingChannels", str(recording.channels)),
            ("RecordingStartTime", rfc2822(recording.start_time) or ""),
            ("RecordingSource", recording.source),
        ]
        self.box.later(
            self.box.delays.recording,
            lambda: self.box.notify(
                self.account, url, method, params, "recording status", self.call.sid
            ),
        )

    def transcription(self, recording: Recording, url: str | None) -> None:
        """Tell the transcribeCallback, later still, what was said."""
        if not url:
            return
        params = [
            *self.params(),
            *self.recording_params(recording),
            ("TranscriptionSid", f"TR{recording.sid[2:]}"),
            ("TranscriptionText", recording.words or ""),
            ("TranscriptionStatus", "completed"),
            ("TranscriptionType", "fast"),
            ("TranscriptionUrl", f"{self.recording_url(recording)}/Transcriptions"),
        ]
        self.box.later(
            2 * self.box.delays.recording,
            lambda: self.box.notify(
                self.account, url, "POST", params, "transcription", self.call.sid
            ),
        )
