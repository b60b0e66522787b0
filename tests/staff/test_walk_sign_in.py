"""Signing in as people do it: in a real browser, at the real web process."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from app.models.client import Client
from tests.support import oidc
from tests.support.looks import look
from tests.support.oidc import Provider
from tests.support.processes import Processes

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
