"""How the twilio library is asked, and what becomes of its answers."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from app.twilio.clock import Clock, clock
from app.twilio.failures import Uncertain

T = TypeVar("T")


class Asking:
    """One Twilio account as seen with one set of credentials.

    `username` and `password` are the account SID and auth token, or an API key's SID and secret.
    `base_url` replaces Twilio's own addresses (see Transport.rebase). `timeout` is seconds to
    connect and to wait for an answer. Cheap to make; threads may share one.
    """

    def __init__(
        self,
        account_sid: str,
        username: str,
        password: str,
        base_url: str | None = None,
        timeout: tuple[float, float] = (5, 10),
    ) -> None:
        self.account_sid = account_sid
        self.username = username
        self.password = password
        self.base_url = base_url
        self.timeout = timeout
        self._made: Any = None

    def ask(self, question: Callable[[Any], T]) -> T:
        """Ask Twilio; an answer that cannot be read counts as Uncertain.

        The transport raises the other failures itself, so that the library's own exceptions,
        which lose headers and come in unrelated kinds, do not arise.
        """
        sdk = self._sdk()
        return _readable(lambda: question(sdk))

    def ask_for_list(self, question: Callable[[Any], Any], read: Callable[[Any], T]) -> Iterator[T]:
        """Yield what `question` lists, each read by `read`; a page is asked for when needed."""
        records = iter(self.ask(question))
        while (found := _readable(lambda: next(records, None))) is not None:
            yield _readable(partial(read, found))

    @property
    def clock(self) -> Clock:
        """Twilio's clock, as the answers so far have told it."""
        return clock(self.base_url)

    def _sdk(self) -> Any:
        if self._made is None:
            from twilio.rest import Client

            from app.twilio.transport import transport

            self._made = Client(
                self.username,
                self.password,
                self.account_sid,
                http_client=transport(self.base_url, self.timeout),
                # Not the process's environment, whose TWILIO_EDGE would change the addresses.
                environment={"TWILIO_EDGE": ""},
            )
        return self._made


def given(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that have a value."""
    return {name: value for name, value in parameters.items() if value is not None}


def settings_of(kind: type, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `settings` if each is a field of the result `kind`; raise TypeError otherwise."""
    for name in settings:
        if name not in kind.__slots__:  # type: ignore[attr-defined]
            raise TypeError(f"{kind.__name__} has no setting {name!r}")
    return settings


def _readable(action: Callable[[], T]) -> T:
    from twilio.base.exceptions import TwilioException

    try:
        return action()
    except (TwilioException, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Uncertain("Twilio's answer could not be read.") from error
