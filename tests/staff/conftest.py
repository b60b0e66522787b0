"""People and clients for the tests of the staff pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.domain import passwords
from app.models.client import Client
from app.models.credential import Credential
from app.models.house import AuditEntry
from app.models.sender import Sender, SenderKind
from app.models.user import Membership, Role, User
from embedded.valkey import Valkey
from tests.support import oidc
from tests.support import stack as stacks
from tests.support.databases import SqliteTemplate
from tests.support.oidc import Provider
from tests.support.rows import Rows
from tests.support.stack import PAT, Stack

PASSWORD = "four plain words here"
OF_CLIENTS = select(AuditEntry).where(AuditEntry.client_id.is_not(None))
"""What was noted about clients; sign-ins are the house's."""


class Staff:
    """A person at a browser: signs in, opens pages, sends forms with their token."""

    def __init__(self, client: FlaskClient) -> None:
        self.http = client

    def token(self, path: str) -> str:
        """Return the CSRF token of the page at `path`."""
        page = self.http.get(path).get_data(as_text=True)
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert found, f"no form at {path}: {page[:300]}"
        return found[1]

    def send(self, path: str, seen_at: str | None = None, **fields: str):
        """Send a form as the browser would, after having seen the page that shows it."""
        data = {"csrf_token": self.token(seen_at or path), **fields}
        return self.http.post(path, data=data)

    def sign_in(self, email: str, password: str = PASSWORD):
        """Sign in through the form."""
        return self.send("/staff/login", email=email, password=password)


@pytest.fixture
def registrar(rows: Rows) -> Client:
    registrar = Client(name="registrar", owner_email="registrar@example.edu", twilio_enabled=True)
    rows.add(registrar)
    return registrar


@pytest.fixture
def add_person(rows: Rows) -> Callable[..., User]:
    """Adds a person who knows PASSWORD, as a member of clients."""

    def add(email: str, *clients: Client, role: Role = Role.OWNER, support: bool = False) -> User:
        user = User(
            email=email, password_hash=passwords.hash_password(PASSWORD), is_support=support
        )
        rows.add(user)
        rows.add(*[Membership(user_id=user.id, client_id=c.id, role=role) for c in clients])
        return user

    return add


@pytest.fixture
def staff(client: FlaskClient) -> Staff:
    return Staff(client)


@pytest.fixture
def pat(staff: Staff, registrar: Client, add_person: Callable[..., User]) -> Staff:
    """Pat, an owner of the registrar, signed in."""
    add_person("pat@example.edu", registrar)
    staff.sign_in("pat@example.edu")
    return staff


@pytest.fixture
def number(rows: Rows, registrar: Client) -> Sender:
    """The registrar's only number."""
    credential = Credential(
        client_id=registrar.id, name="main", account_sid="AC" + "0" * 32, auth_token="secret"
    )
    rows.add(credential)
    number = Sender(
        client_id=registrar.id, credential_id=credential.id, kind=SenderKind.TWILIO,
        address="+13195550100", rate=1.0,
    )  # fmt: skip
    rows.add(number)
    return number


@pytest.fixture(scope="module")
def stack(
    sqlite_template: SqliteTemplate,
    _redis_server: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """All of Dispatch with the demo client and the local Twilio, once per module."""
    folder = tmp_path_factory.mktemp("stack")
    with stacks.running(folder, sqlite_template.fresh(folder), _redis_server.url) as running:
        yield running


def employ(stack: Stack, folder: Path, who: tuple[str, str]) -> None:
    """Let somebody more work for the demo's registrar."""
    file = folder / "colleague.yaml"
    person = f'{{email: {who[0]}, role: staff, password: "{who[1]}"}}'
    file.write_text(f"clients:\n  - name: registrar\n    users: [{person}]\n")
    applied = stack.flask("apply", str(file))
    assert applied.returncode == 0, applied.stderr


def enter(page: Page, base: str, who: tuple[str, str] = PAT) -> None:
    """Sign in at the form, as Pat unless told otherwise."""
    page.goto(f"{base}/staff/login")
    page.get_by_label("E-mail address").fill(who[0])
    page.get_by_label("Password").fill(who[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name=who[0])).to_be_visible()


def press(page: Page, button: str) -> None:
    """Press the button of that name."""
    page.get_by_role("button", name=button, exact=True).click()


def said(page: Page, words: str) -> None:
    """Expect the page to tell the person this, and wait until it looks as they see it.

    Until its style sheet is there, a page shows what only some choices have.
    """
    expect(page.get_by_role("status").first).to_contain_text(words)
    page.wait_for_load_state()


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Provider, Provider]]:
    with oidc.running(tmp_path_factory.mktemp("oidc")) as both:
        yield both


@pytest.fixture
def campus(providers: tuple[Provider, Provider]) -> Provider:
    providers[0].begin_anew()
    return providers[0]


@pytest.fixture
def hospital(providers: tuple[Provider, Provider]) -> Provider:
    providers[1].begin_anew()
    return providers[1]
