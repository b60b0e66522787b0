"""How a request to Twilio can fail, sorted by the one question that matters: was it done?"""


class TwilioFailure(Exception):
    """The request did not succeed; the message is a sentence for people."""


class NotSent(TwilioFailure):
    """Twilio surely did nothing: it was not reached, or refused before processing (429).

    `retry_after` are the seconds Twilio asked to wait, if it did.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefusedByTwilio(TwilioFailure):
    """Twilio surely did nothing and says why.

    `code` is Twilio's error code (see `app.twilio.errors`), None if the answer held none;
    `status` the HTTP status, 400 to 499.
    """

    def __init__(self, code: int | None, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message


class Uncertain(TwilioFailure):
    """Nobody knows whether Twilio did it: time-out, reset, 5xx or an unreadable answer.

    A request that creates something must not be repeated before it was looked up.
    """
