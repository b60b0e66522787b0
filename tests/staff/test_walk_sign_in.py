"""Signing in as people do it: in a real browser, at the real web process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from app.models.client import Client
from app.models.second_factor import Passkey
from app.models.user import User
from tests.staff.conftest import PASSWORD
from tests.support import oidc
from tests.support.looks import look
from tests.support.oidc import Provider
from tests.support.processes import Processes
from tests.support.rows import Rows

SAM = "sam@example.edu"
KEY = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
    "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip
"""A device that has its finger's print at once (Chrome DevTools Protocol, `WebAuthn`)."""

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.database("sqlite")]
OWNER = {"registrar-owners": {"client": "registrar", "role": "owner"}}


@pytest.fixture
def environ(environ: dict[str, str], providers: tuple[Provider, Provider]) -> dict[str, str]:
    return {**environ, "OIDC_PROVIDERS": oidc.setting(*[one.setting(OWNER) for one in providers])}


def test_a_person_signs_in_at_the_provider_and_is_signed_out_by_it(
    browser: Browser, page: Page, processes: Processes, registrar: Client,
    providers: tuple[Provider, Provider],
) -> None:  # fmt: skip
    campus, _ = providers
    campus.begin_anew(processes.base_url)
    campus.has("pat", groups=["registrar-owners"])
    processes.web(workers=2)

    page.goto(f"{processes.base_url}/staff/clients/registrar/people")
    page.get_by_role("link", name="Sign in with campus").click()
    page.get_by_label("User name").fill("pat")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("People")
    expect(page.get_by_role("main")).to_contain_text("pat@example.edu")

    other = page.context.new_page()
    other.goto(f"{campus.issuer}/logout")
    expect(other.get_by_text("Dispatch answered 200.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dispatch")
    expect(page.get_by_role("link", name="Sign in with hospital")).to_be_visible()

    page.get_by_role("link", name="Sign in with campus").click()
    page.get_by_label("User name").fill("pat")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_contain_text("sign out there as well")
    assert look(browser, None, processes.base_url, ["/staff/login"]) == []


def with_password(page: Page, base: str) -> None:
    page.goto(f"{base}/staff/login")
    page.get_by_label("E-mail address").fill(SAM)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_support_sets_up_a_passkey_and_signs_in_with_it(
    browser: Browser, page: Page, processes: Processes, registrar: Client,
    add_person: Callable[..., User], rows: Rows,
) -> None:  # fmt: skip
    """In the browser's own words, with a device that the browser plays itself."""
    base = f"http://localhost:{processes.env['PORT']}"  # a bare address has no passkeys
    processes.env |= {"PUBLIC_BASE_URL": base, "SECOND_FACTOR": "support"}
    add_person(SAM, support=True)
    processes.web(workers=2)
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})

    with_password(page, base)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your second factor")
    expect(page.get_by_role("link", name="Help")).to_have_count(0)
    page.get_by_label("What is it called?").fill("my laptop")
    page.get_by_role("button", name="Set up a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Write these codes down")
    expect(page.locator(".codes li")).to_have_count(10)
    page.get_by_role("link", name="I have written them down").click()
    page.get_by_role("button", name="Sign out").click()
    assert rows.one(Passkey).name == "my laptop"

    with_password(page, base)
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    half = page.context.storage_state()
    with page.expect_request(lambda one: one.method == "POST") as sent:
        page.get_by_role("button", name="Use your passkey").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    used = rows.one(Passkey)
    assert used.used_at is not None

    # Who has overheard all of it, and has the cookie of the first step, gets no further.
    with browser.new_context(storage_state=half) as thief:
        again = thief.request.post(
            sent.value.url, headers={"Content-Type": "application/x-www-form-urlencoded"},
            data=sent.value.post_data or "",
        )  # fmt: skip
        assert again.status == 422
        assert "This passkey is not one of yours, or it was asked too long ago" in again.text()
    assert rows.one(Passkey).uses == used.uses

    page.goto(f"{base}/staff/account/second-factor")
    page.get_by_role("button", name="Take the passkey my laptop away").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Not possible now")
    state = page.context.storage_state()
    own = ["/staff/account", "/staff/account/second-factor", "/staff/account/confirm"]
    assert look(browser, state, base, own) == []
    assert look(browser, half, base, ["/staff/login/second"]) == []
