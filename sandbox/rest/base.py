"""What all resources share: Basic authentication, errors, paging, faults."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Flask, Response, g, request

from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..records import Account, new_sid

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HANG_SECONDS = 120.0
_DROP = "sandbox.drop"
_REALM = {"WWW-Authenticate": 'Basic realm="Twilio API"'}


def install(app: Flask, box: Sandbox) -> None:
    """Faults and Twilio's headers around each REST request, errors as Twilio writes them."""

    @app.before_request
    def before() -> Response | None:
        if not is_rest(request.path):
            return None
        g.started = time.monotonic()
        g.fault = box.faults.rest_mode(request.method, request.path)
        if box.faults.latency_ms:
            time.sleep(box.faults.latency_ms / 1000)
        return _fault_before(g.fault)

    @app.after_request
    def after(response: Response) -> Response:
        if not is_rest(request.path):
            return response
        response.headers["Twilio-Request-Id"] = new_sid("RQ")
        response.headers["Twilio-Concurrent-Requests"] = "1"
        response.headers["Twilio-Request-Duration"] = f"{time.monotonic() - g.started:.3f}"
        return _fault_after(g.fault, response)

    @app.errorhandler(RestError)
    def refused(error: RestError) -> Response:
        return _problem(error)


def is_rest(path: str) -> bool:
    """Whether the path belongs to Twilio's API rather than to the sandbox itself."""
    return path.startswith((f"/{API_VERSION}/", "/v1/", "/v2/"))


def _problem(error: RestError) -> Response:
    response = reply(error.body(), error.status)
    if error.status == 401:
        response.headers.extend(_REALM)
    return response


def _fault_before(mode: str | None) -> Response | None:
    if mode == "429":
        return _problem(RestError(20429))
    if mode == "500-before":
        return _problem(RestError(20500))
    if mode == "503-before":
        return _problem(RestError(20503))
    if mode == "hang-before":
        time.sleep(HANG_SECONDS)
    if mode in ("hang-before", "reset-before"):
        return _dropped()
    return None


def _fault_after(mode: str | None, response: Response) -> Response:
    if mode == "500-after":
        return _problem(RestError(20500))
    if mode == "hang-after":
        time.sleep(HANG_SECONDS)
    if mode in ("hang-before", "reset-before", "hang-after", "reset-after"):
        return _dropped()
    return response


class ConnectionDropped(ConnectionError):
    """The connection was reset on purpose: there is nobody left to answer."""


def _dropped() -> Response:
    """An answer that will not be given: the server resets the connection instead."""
    request.environ[_DROP] = True
    return Response(status=500)


def droppable(app: WSGIApplication) -> WSGIApplication:
    """Wrap the application so that a dropped answer resets the TCP connection."""

    def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if environ.get(_DROP):
                connection: socket.socket = environ["werkzeug.socket"]
                reset = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                raise ConnectionDropped
            return start_response(status, headers, *more)

        return app(environ, start)

    return wrapped


def reply(data: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json.dumps(data), status, mimetype="application/json")


def signed_in(
    box: Sandbox, test_allowed: bool = False
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Basic authentication; the view gets the account. Path and credentials must agree.

    Test credentials may only create (`test_allowed`); all else is 403 / 20008.
    """

    def decorate(view: Callable[..., Response]) -> Callable[..., Response]:
        @wraps(view)
        def guarded(*args: Any, **values: Any) -> Response:
            account = _authenticate(box, values.pop("account_sid", None))
            if account.test and not (test_allowed and request.method == "POST"):
                raise RestError(20008)
            return view(*args, account=account, **values)

        return guarded

    return decorate


def _authenticate(box: Sandbox, path_sid: str | None) -> Account:
    given = request.authorization
    if given is None or given.type != "basic" or not given.username:
        raise RestError(20003)
    for account in list(box.store.accounts.values()):
        known = {account.sid: account.auth_token, **account.api_keys}
        if given.username in known and known[given.username] == given.password:
            if path_sid in (None, account.sid):
                return account
            owned = box.store.accounts.get(path_sid or "")
            if owned is not None and owned.parent_sid == account.sid:
                return owned
            raise RestError(20404, path=request.path)
    raise RestError(20003)


def page_size() -> int:
    """PageSize between 1 and 1000; 50 if it is missing or no number."""
    text = request.args.get("PageSize", "50")
    return min(1000, max(1, int(text))) if text.isdigit() else 50


def _window(rows: Iterable[Any], key: Callable[[Any], str]) -> tuple[list[Any], str | None, int]:
    """The rows of the asked page, the token of the next one, and the page's number."""
    size, token = page_size(), request.args.get("PageToken", "")
    page = request.args.get("Page", "0")
    iterator: Iterator[Any] = iter(rows)
    if token:
        if not token.startswith("PA"):
            raise RestError(21481)
        anchor = token[2:]
        found = any(key(row) == anchor for row in iterator)
        if not found:
            raise RestError(21481)
    picked = list(islice(iterator, size))
    more = next(iterator, None) is not None
    return picked, "PA" + key(picked[-1]) if more else None, int(page) if page.isdigit() else 0


def page_2010(
    name: str, rows: Iterable[Any], key: Callable[[Any], str], show: Callable[[Any], Any]
) -> Response:
    """A page as the 2010-04-01 API writes it, with relative addresses."""
    picked, token, number = _window(rows, key)
    size = page_size()

    def uri(page: int, page_token: str | None) -> str:
        args = {k: v for k, v in request.args.items() if k not in ("Page", "PageToken")}
        args |= {"PageSize": str(size), "Page": str(page)}
        if page_token:
            args["PageToken"] = page_token
        return f"{request.path}?{urlencode(args)}"

    return reply(
        {
            "first_page_uri": uri(0, None),
            "next_page_uri": uri(number + 1, token) if token else None,
            "previous_page_uri": uri(number - 1, None) if number else None,
            "page": number,
            "page_size": size,
            "start": number * size,
            "end": number * size + max(0, len(picked) - 1),
            "uri": uri(number, request.args.get("PageToken")),
            name: [show(row) for row in picked],
        }
    )


def page_v1(
    name: str, rows: Iterable[Any], key: Callable[[Any], str], show: Callable[[Any], Any]
) -> Response:
    """A page as the v1 APIs write it, with absolute addresses under `meta`."""
    picked, token, number = _window(rows, key)
    size = page_size()
    host = request.headers.get("X-Original-Host")
    base = f"https://{host}" if host else request.host_url.rstrip("/")

    def url(page: int, page_token: str | None) -> str:
        args = {"PageSize": str(size), "Page": str(page)}
        if page_token:
            args["PageToken"] = page_token
        return f"{base}{request.path}?{urlencode(args)}"

    meta = {
        "page": number,
        "page_size": size,
        "first_page_url": url(0, None),
        "previous_page_url": url(number - 1, None) if number else None,
        "url": url(number, request.args.get("PageToken")),
        "next_page_url": url(number + 1, token) if token else None,
        "key": name,
    }
    return reply({"meta": meta, name: [show(row) for row in picked]})


def flag(name: str, default: bool = False) -> bool:
    """A boolean form parameter, `true` or `false`."""
    text = request.form.get(name)
    return default if text is None else text.strip().lower() == "true"


def integer(name: str, default: int, code: int = 20001) -> int:
    """A whole number of the form; raises RestError with `code` for anything else."""
    text = request.form.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise RestError(code) from error
