"""What Dispatch asks of Twilio about the recordings of calls."""

from typing import Final

from app.twilio.asking import Asking
from app.twilio.failures import RefusedByTwilio
from app.twilio.media import Fetched, fetch_media
from app.twilio.results import Recording, Transcription

NOT_THERE: Final = 404
MOST: Final = 20
"""Recordings of one call that are looked at."""


class RecordingRequests(Asking):
    """Recordings and their transcriptions; see `Asking` for how it is made."""

    def list_recordings(self, call_sid: str) -> list[Recording]:
        """Return the recordings of a call, newest first; none where there is no such call."""
        return list(
            self.ask_for_list(
                lambda sdk: sdk.recordings.stream(call_sid=call_sid, limit=MOST), Recording.of
            )
        )

    def fetch_recording(self, sid: str, *, max_bytes: int, deadline_seconds: float) -> Fetched:
        """Return the sound as MP3; raises MediaUnavailable (see there).

        The address is made of the SID, never taken from a request.
        """
        root = f"https://api.twilio.com/2010-04-01/Accounts/{self.account_sid}/Recordings"
        return fetch_media(
            f"{root}/{sid}.mp3", self.username, self.password, base_url=self.base_url,
            max_bytes=max_bytes, deadline_seconds=deadline_seconds,
        )  # fmt: skip

    def delete_recording(self, sid: str) -> None:
        """Delete a recording at Twilio; one that is gone already is deleted."""
        try:
            self.ask(lambda sdk: sdk.recordings(sid).delete())
        except RefusedByTwilio as refused:
            if refused.status != NOT_THERE:
                raise

    def list_transcriptions(self, recording_sid: str) -> list[Transcription]:
        """Return what Twilio has written down of a recording, if anything."""
        return list(
            self.ask_for_list(
                lambda sdk: sdk.recordings(recording_sid).transcriptions.stream(limit=MOST),
                Transcription.of,
            )
        )
