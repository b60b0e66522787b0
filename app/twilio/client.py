"""The REST seam: everything Dispatch asks of Twilio, and the only door to ``twilio.rest``.

Every method raises one of three failures: NotSent, RefusedByTwilio or Uncertain
(`app.twilio.failures`). The library is imported at the first request, because its import takes
110 ms that the web process need not pay.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from app.twilio.asking import given
from app.twilio.failures import NotSent, RefusedByTwilio, TwilioFailure, Uncertain
from app.twilio.lookups import LookupRequests
from app.twilio.media import Fetched, MediaUnavailable, fetch_media
from app.twilio.numbers import NumberRequests
from app.twilio.recordings import RecordingRequests
from app.twilio.results import Call, MediaItem, Message

__all__ = [
    "MediaUnavailable",
    "NotSent",
    "RefusedByTwilio",
    "TwilioClient",
    "TwilioFailure",
    "Uncertain",
]

MAX_PAGE: Final = 1000
CALL_EVENTS: Final = ("initiated", "ringing", "answered", "completed")


class TwilioClient(NumberRequests, RecordingRequests, LookupRequests):
    """Everything Dispatch asks of one Twilio account; see `Asking` for how it is made."""

    # The account itself

    def fetch_account(self) -> str:
        """Return the account's SID as Twilio has it, which proves SID and token."""
        return self.ask(lambda sdk: str(sdk.api.accounts(self.account_sid).fetch().sid))

    # Texts

    def create_message(
        self,
        to: str,
        *,
        from_: str | None = None,
        messaging_service_sid: str | None = None,
        body: str | None = None,
        media_url: Sequence[str] = (),
        status_callback: str | None = None,
        validity_period: int | None = None,
        smart_encoded: bool | None = None,
        send_as_mms: bool | None = None,
    ) -> Message:
        """Send a text. There is no idempotency key: after Uncertain, look it up before repeating.

        `validity_period` are seconds (1 to 36000) after which Twilio gives up on a queued text.
        """
        parameters = given(
            from_=from_,
            messaging_service_sid=messaging_service_sid,
            body=body,
            media_url=list(media_url) or None,
            status_callback=status_callback,
            validity_period=validity_period,
            smart_encoded=smart_encoded,
            send_as_mms=send_as_mms,
        )
        return self.ask(lambda sdk: Message.of(sdk.messages.create(to=to, **parameters)))

    def fetch_message(self, sid: str) -> Message:
        """Return the message as Twilio has it now."""
        return self.ask(lambda sdk: Message.of(sdk.messages(sid).fetch()))

    def list_messages(
        self,
        *,
        to: str | None = None,
        from_: str | None = None,
        sent_after: datetime | None = None,
        sent_before: datetime | None = None,
        limit: int = 1000,
        page_size: int = 100,
    ) -> Iterator[Message]:
        """Yield at most `limit` messages of both directions, newest first, page by page.

        The times (aware) filter by date_sent, which a text not sent yet does not have.
        """
        parameters = given(
            to=to, from_=from_, date_sent_after=_utc(sent_after), date_sent_before=_utc(sent_before)
        )
        return self.ask_for_list(
            lambda sdk: sdk.messages.stream(
                limit=limit, page_size=min(page_size, MAX_PAGE), **parameters
            ),
            Message.of,
        )

    def list_media(self, message_sid: str) -> list[MediaItem]:
        """Return the files of a message, with the URLs that its webhook would have carried."""
        root = f"https://api.twilio.com/2010-04-01/Accounts/{self.account_sid}/Messages"

        def item(found: Any) -> MediaItem:
            return MediaItem(
                found.sid, found.content_type, f"{root}/{message_sid}/Media/{found.sid}"
            )

        return list(
            self.ask_for_list(lambda sdk: sdk.messages(message_sid).media.stream(limit=10), item)
        )

    def fetch_media(self, url: str, max_bytes: int = 5 * 1024 * 1024) -> Fetched:
        """Return one file of an incoming message; raises MediaUnavailable (see there)."""
        return fetch_media(
            url, self.username, self.password, base_url=self.base_url, max_bytes=max_bytes
        )

    # Calls

    def create_call(
        self,
        to: str,
        from_: str,
        *,
        url: str,
        fallback_url: str | None = None,
        status_callback: str | None = None,
        status_callback_event: Sequence[str] = CALL_EVENTS,
        machine_detection: Literal["Enable", "DetectMessageEnd"] | None = None,
        machine_detection_timeout: int | None = None,
        machine_detection_speech_threshold: int | None = None,
        machine_detection_speech_end_threshold: int | None = None,
        machine_detection_silence_timeout: int | None = None,
        timeout: int | None = None,
        time_limit: int | None = None,
    ) -> Call:
        """Place a call; Twilio asks `url` for TwiML when it is answered.

        `timeout` are seconds it rings (600 at most), `time_limit` seconds it may last.
        `machine_detection_timeout` are seconds (3 to 59), its thresholds milliseconds. There is no
        idempotency key: after Uncertain, look it up before repeating.
        """
        parameters = given(
            url=url,
            fallback_url=fallback_url,
            status_callback=status_callback,
            status_callback_event=list(status_callback_event) if status_callback else None,
            machine_detection=machine_detection,
            machine_detection_timeout=machine_detection_timeout,
            machine_detection_speech_threshold=machine_detection_speech_threshold,
            machine_detection_speech_end_threshold=machine_detection_speech_end_threshold,
            machine_detection_silence_timeout=machine_detection_silence_timeout,
            timeout=timeout,
            time_limit=time_limit,
        )
        return self.ask(lambda sdk: Call.of(sdk.calls.create(to=to, from_=from_, **parameters)))

    def fetch_call(self, sid: str) -> Call:
        """Return the call as Twilio has it now."""
        return self.ask(lambda sdk: Call.of(sdk.calls(sid).fetch()))

    def list_calls(
        self,
        *,
        to: str | None = None,
        from_: str | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        limit: int = 1000,
        page_size: int = 100,
    ) -> Iterator[Call]:
        """Yield at most `limit` calls of both directions, newest first, page by page."""
        parameters = given(
            to=to,
            from_=from_,
            start_time_after=_utc(started_after),
            start_time_before=_utc(started_before),
        )
        return self.ask_for_list(
            lambda sdk: sdk.calls.stream(
                limit=limit, page_size=min(page_size, MAX_PAGE), **parameters
            ),
            Call.of,
        )

    def update_call(
        self,
        sid: str,
        *,
        status: Literal["canceled", "completed"] | None = None,
        url: str | None = None,
    ) -> Call:
        """End a call (``canceled`` before it is answered, ``completed`` after), or redirect it."""
        parameters = given(status=status, url=url)
        return self.ask(lambda sdk: Call.of(sdk.calls(sid).update(**parameters)))


def _utc(moment: datetime | None) -> datetime | None:
    """Return `moment` in UTC: the library writes a Z behind the digits, whatever the zone."""
    return moment.astimezone(UTC) if moment else None
