"""Why a sign-in by a provider fails: a sentence for the person, and more for the log."""

from __future__ import annotations


class SignInFailed(Exception):
    """It did not come to a sign-in.

    ``sentence`` is for the person; ``reason`` is for the operator's log, and never shown: it may
    hold words that somebody else chose.
    """

    status = 400

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(reason)
        self.sentence = sentence
        self.reason = reason


class ProviderAway(SignInFailed):
    """The provider does not answer, or not as OpenID Connect wants it."""

    status = 503

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} does not answer as it should just now.", reason)


class NotBelieved(SignInFailed):
    """What came is not what the provider would have sent to this browser."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"What came back from {name} does not belong to this sign-in.", reason)


class NotForThem(SignInFailed):
    """The provider knows the person, but they may not use Dispatch."""

    status = 403
