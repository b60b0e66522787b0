"""A collection of the 2010-04-01 API: listed, fetched, changed and removed in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from flask import Flask, Response, request

from ..core import API_VERSION, Sandbox
from ..errors import RestError
from ..records import Account
from .base import page_2010, reply, signed_in

ACCOUNT = f"/{API_VERSION}/Accounts/<account_sid>"


class Owned(Protocol):
    """Something with a SID that belongs to an account."""

    sid: str
    account_sid: str


Row = TypeVar("Row", bound=Owned)


@dataclass(frozen=True)
class Resource(Generic[Row]):
    """What differs between the collections."""

    path: str
    """Below the account, such as ``Calls``."""
    name: str
    """Of the list in JSON."""
    get: Callable[[str], Row | None]
    """By its SID."""
    matching: Callable[[Account], Iterable[Row]]
    """Those of the account that the request asks for, in Twilio's order."""
    shown: Callable[[Row], dict[str, Any]]
    change: Callable[[Row], object] | None
    """By the request's form; None where nothing can be changed."""
    remove: Callable[[Row], object]

    def find(self, account_sid: str, sid: str) -> Row:
        """Return the account's row; raises 20404 for what is not there, or another's."""
        row = self.get(sid)
        if row is None or row.account_sid != account_sid:
            raise RestError(20404, path=request.path)
        return row


def add(app: Flask, box: Sandbox, resource: Resource[Row]) -> None:
    """Add the routes that all collections have."""
    base, name = f"{ACCOUNT}/{resource.path}", resource.path

    @app.get(f"{base}.json", endpoint=f"{name}.list")
    @signed_in(box)
    def listing(account: Account) -> Response:
        rows = resource.matching(account)
        return page_2010(resource.name, rows, lambda row: row.sid, resource.shown)

    @app.get(f"{base}/<sid>.json", endpoint=f"{name}.fetch")
    @signed_in(box)
    def fetch(account: Account, sid: str) -> Response:
        return reply(resource.shown(resource.find(account.sid, sid)))

    @app.delete(f"{base}/<sid>.json", endpoint=f"{name}.delete")
    @signed_in(box)
    def delete(account: Account, sid: str) -> Response:
        resource.remove(resource.find(account.sid, sid))
        return Response(status=204)

    change = resource.change
    if change is None:
        return

    @app.post(f"{base}/<sid>.json", endpoint=f"{name}.update")
    @signed_in(box)
    def update(account: Account, sid: str) -> Response:
        row = resource.find(account.sid, sid)
        change(row)
        return reply(resource.shown(row))
