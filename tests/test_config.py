"""A process that cannot work does not start, and says in one sentence which setting is at fault."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import make_url

import config
from app.extensions import db, unit_of_work
from app.models.client import Client
from tests.support.environment import BASE
from tests.support.processes import Processes


def provider(**changed: object) -> str:
    """Return `OIDC_PROVIDERS` with one provider; None leaves a key out."""
    given = {
        "name": "campus", "issuer": "https://login.example.edu/", "client_id": "dispatch",
        "client_secret": "secret-word", "groups": {"a": {"client": "registrar", "role": "owner"}},
        **changed,
    }  # fmt: skip
    return json.dumps([{key: value for key, value in given.items() if value is not None}])


ENVIRON = {**BASE, "DATABASE_URL": "postgresql://dispatch:secret-word@db.example.edu/dispatch"}


def test_production_needs_its_secrets(tmp_path: Path) -> None:
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "PUBLIC_BASE_URL", "DATABASE_URL"):
        missing = {key: value for key, value in ENVIRON.items() if key != name}
        with pytest.raises(config.SettingsError, match=f"^{name} is not set"):
            config.load(missing, tmp_path)


def test_development_makes_its_own_and_keeps_them(tmp_path: Path) -> None:
    first = config.load({"ENVIRONMENT": "development"}, tmp_path)
    again = config.load({"ENVIRONMENT": "development"}, tmp_path)
    assert (first.secret_key, first.encryption_keys) == (again.secret_key, again.encryption_keys)
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("https://dispatch.example.edu:8443/d", "dispatch@dispatch.example.edu"),
        ("http://127.0.0.1:8000", "dispatch@localhost"),
        ("http://[::1]:8000", "dispatch@localhost"),
    ],
)
def test_mails_come_from_our_own_host_unless_told(
    address: str, sender: str, tmp_path: Path
) -> None:
    """The contract names no mail setting among the secrets without which nothing starts."""
    environ = {**ENVIRON, "PUBLIC_BASE_URL": address, "MAIL_FROM": "", "SUPPORT_EMAIL": ""}
    settings = config.load(environ, tmp_path)
    assert (settings.mail_from, settings.support_email) == (sender, sender)


@pytest.mark.parametrize(
    "value",
    ["imaps://u:p%40ss@mail.example.edu/Answers", "lmtp://127.0.0.1:2400", "lmtp://[::1]:24"],
)
def test_answers_are_read_where_that_is_set_up(value: str, tmp_path: Path) -> None:
    assert config.load({**ENVIRON, "MAIL_IN_URL": value}, tmp_path).mail_in_url == value


def test_an_address_that_leaves_no_room_for_answers_is_refused(tmp_path: Path) -> None:
    """64 characters before the @ are what a mail server takes (RFC 5321, 4.5.3.1.1)."""
    environ = {**ENVIRON, "MAIL_FROM": f"{'d' * 24}@example.edu"}
    assert config.load(environ, tmp_path).mail_in_url is None
    with pytest.raises(config.SettingsError, match=r"^MAIL_FROM has more than 23 characters"):
        config.load({**environ, "MAIL_IN_URL": "lmtp://127.0.0.1:24"}, tmp_path)


def test_providers_of_sign_ins_are_taken_as_they_are_written(tmp_path: Path) -> None:
    settings = config.load({**ENVIRON, "OIDC_PROVIDERS": provider()}, tmp_path)
    (found,) = settings.oidc_providers
    assert found.issuer == "https://login.example.edu/", "to the letter: its tokens have the slash"
    assert found.groups_claim == "groups"
    assert found.groups == (config.GroupRole("a", "owner", "registrar"),)
    assert "secret-word" not in repr(settings)


def test_support_has_a_second_factor_in_production_and_nobody_in_a_demonstration(
    tmp_path: Path,
) -> None:
    environ = {key: value for key, value in ENVIRON.items() if key != "SECOND_FACTOR"}
    assert config.load(environ, tmp_path).second_factor == "support"
    assert config.load({"ENVIRONMENT": "development"}, tmp_path).second_factor == "off"


def test_a_developers_secret_may_be_short(tmp_path: Path) -> None:
    environ = {"ENVIRONMENT": "development", "SECRET_KEY": "secret"}
    assert config.load(environ, tmp_path).secret_key == "secret"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "staging"),
        ("SECRET_KEY", "short"),
        ("ENCRYPTION_KEYS", "0123456789012345678901234567890123"),
        ("DATABASE_URL", "mysql://db/dispatch"),
        ("DATABASE_URL", "postgresql://dispatch:secret-word@db:port/dispatch"),
        pytest.param("DATABASE_URL", "sqlite:///", id="a database in memory"),
        pytest.param("DATABASE_URL", "sqlite:///:memory:", id="the same by its name"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("REDIS_URL", "redis://["),
        ("REDIS_URL", "redis://127.0.0.1:port/0"),
        ("PORT", "0"),
        ("PORT", "٣٣٣٣"),
        ("PUBLIC_BASE_URL", "dispatch.example.edu"),
        ("PUBLIC_BASE_URL", "http://dispatch.example.edu"),
        ("PUBLIC_BASE_URL", "https://[dispatch.example.edu"),
        ("PUBLIC_BASE_URL", "https://dispatch example.edu"),
        ("PUBLIC_BASE_URL", "https://dispatch.example.edu/?a=1"),
        ("SHORT_LINK_BASE_URL", "https://d.example.edu:99999"),
        ("TWILIO_API_BASE_URL", "http://twilio.example.edu"),
        ("TRANSCRIBE_URL", "engine.example.edu/listen"),
        ("TRANSCRIBE_URL", "http://engine.example.edu/listen"),
        ("TRANSCRIBE_URL", "https://engine.example.edu/listen#here"),
        ("SMTP_URL", "mail.example.edu"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://["),
        ("SMTP_URL", "smtp://mail.example.edu:port"),
        pytest.param("SMTP_URL", "smtp://u:p@mail:587?starttl=1", id="a misspelt option"),
        pytest.param("SMTP_URL", "smtp://u:p@mail:587?starttls=maybe", id="neither yes nor no"),
        ("MAIL_IN_URL", "imap://u:p@mail.example.edu"),
        ("MAIL_IN_URL", "imaps://mail.example.edu"),
        ("MAIL_IN_URL", "imaps://u@mail.example.edu"),
        ("MAIL_IN_URL", "imaps://u:p@mail.example.edu/INBOX?tls=0"),
        ("MAIL_IN_URL", "imaps://"),
        ("MAIL_IN_URL", "lmtp://127.0.0.1"),
        ("MAIL_IN_URL", "lmtp://127.0.0.1:2400/folder"),
        ("MAIL_IN_URL", "lmtp://u:p@127.0.0.1:2400"),
        ("MAIL_FROM", "dispatch"),
        ("MAIL_FROM", "dispatch@example@edu"),
        ("MAIL_FROM", "dispätch@example.edu"),
        ("SUPPORT_EMAIL", "Support <support@example.edu>"),
        ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("WEBHOOK_DENIED_NETWORKS", "10.0.0.0/8;10.1.0.0/16"),
        pytest.param("OIDC_PROVIDERS", '[{"client_secret": "secret-word"', id="half a list"),
        pytest.param("OIDC_PROVIDERS", "{}", id="no list"),
        pytest.param("OIDC_PROVIDERS", "[1]", id="a list of no objects"),
        *[
            pytest.param("OIDC_PROVIDERS", provider(**changed), id=f"a provider with {name}")
            for name, changed in {
                "no name": {"name": None},
                "a name that is no part of an address": {"name": "our campus"},
                "an issuer without https": {"issuer": "http://login.example.edu"},
                "an issuer with a query": {"issuer": "https://login.example.edu/?a=1"},
                "an issuer too long to keep": {"issuer": f"https://login.example.edu/{'x' * 255}"},
                "no secret": {"client_secret": ""},
                "a misspelt key": {"group": {}},
                "groups that are no object": {"groups": ["a"]},
                "a group without a role": {"groups": {"a": {"client": "registrar"}}},
                "a group without a client": {"groups": {"a": {"role": "staff"}}},
                "support of one client": {"groups": {"a": {"role": "support", "client": "b"}}},
                "a role that is none": {"groups": {"a": {"role": "admin", "client": "b"}}},
            }.items()
        ],
        pytest.param("OIDC_PROVIDERS", f"{provider()[:-1]}, {provider()[1:]}", id="a name twice"),
        ("LOCAL_PASSWORDS", "maybe"),
        ("SECOND_FACTOR", "1"),
        pytest.param("LOCAL_PASSWORDS", "0", id="no way in"),
        ("TRUSTED_PROXY_HOPS", "-1"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_malformed_setting_is_named(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(config.SettingsError) as refused:
        config.load({**ENVIRON, name: value}, tmp_path)
    sentence = str(refused.value)
    assert sentence.startswith(name)
    assert "\n" not in sentence
    assert "secret-word" not in sentence


@pytest.mark.parametrize("host", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000"])
def test_a_loopback_address_needs_no_https(host: str, tmp_path: Path) -> None:
    settings = config.load({**ENVIRON, "PUBLIC_BASE_URL": host}, tmp_path)
    assert settings.public_base_url == host


def test_postgresql_means_psycopg_3(tmp_path: Path) -> None:
    assert config.load(ENVIRON, tmp_path).database_url.startswith("postgresql+psycopg://")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    shown = repr(config.load(ENVIRON, tmp_path))
    assert "secret-word" not in shown
    assert BASE["SECRET_KEY"] not in shown
    assert BASE["ENCRYPTION_KEYS"] not in shown


@pytest.mark.database("sqlite")
def test_a_process_says_it_in_one_sentence_and_is_not_started_again(processes: Processes) -> None:
    command = processes.flask("clock", PUBLIC_BASE_URL="http://example.edu")
    assert command.stdout == ""
    assert command.stderr.startswith("Dispatch cannot start: PUBLIC_BASE_URL is ")
    assert command.stderr.count("\n") == 1
    web = processes.procfile("web", PUBLIC_BASE_URL="http://example.edu", WEB_CONCURRENCY="1")
    assert web.process.wait(60) != 0
    assert "Dispatch cannot start: PUBLIC_BASE_URL is " in web.output()
    assert "Traceback" not in web.output()


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "127.0.0.1:8000"),
        ({"PORT": "80"}, "127.0.0.1:80"),
        ({"BIND": "0.0.0.0", "PORT": "80"}, "0.0.0.0:80"),
        ({"BIND": "10.0.0.5:90", "PORT": "80"}, "10.0.0.5:90"),
        ({"BIND": "::"}, "[::]:8000"),
        ({"BIND": "[::1]"}, "[::1]:8000"),
        ({"BIND": "[::1]:90"}, "[::1]:90"),
        ({"BIND": " localhost "}, "localhost:8000"),
        ({"BIND": "unix:/run/dispatch.sock"}, "unix:/run/dispatch.sock"),
    ],
)
def test_web_listens_on_this_machine_only_unless_told(
    environ: dict[str, str], address: str
) -> None:
    assert config.listen_address(environ) == address


@pytest.mark.parametrize("bind", ["1.2.3.4:port", "http://0.0.0.0", "a b", ":80", "u@host", "/run"])
def test_an_address_that_is_none_is_named(bind: str) -> None:
    with pytest.raises(config.SettingsError, match=r"^BIND is "):
        config.listen_address({"BIND": bind})


@pytest.mark.parametrize("value", ["0", "many", "-1", "1000"])
def test_a_number_of_processes_that_is_none_is_named(value: str) -> None:
    with pytest.raises(config.SettingsError, match=r"^WEB_CONCURRENCY is "):
        config.web_concurrency({"WEB_CONCURRENCY": value})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", ("redis", (("cache", 6379),), None, None, 0, None)),
        ("rediss://:p%40ss@a:1,b/5", ("rediss", (("a", 1), ("b", 6379)), None, "p@ss", 5, None)),
        (
            "redis+sentinel://u:p@a,[::1]:7/main/2",
            ("redis+sentinel", (("a", 26379), ("::1", 7)), "u", "p", 2, "main"),
        ),
        ("unix:///run/redis.sock?db=3", ("unix", (), None, None, 0, None)),
    ],
)
def test_redis_may_have_several_hosts(url: str, expected: tuple[object, ...]) -> None:
    found = config.redis_address(url)
    read = (found.scheme, found.hosts, found.username, found.password, found.db, found.service)
    assert read == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://cache", "cache:6379", "redis://", "redis://a:port", "redis://a,", "redis://a b",
        "redis://a/zero", "redis://a/0/1", "redis+sentinel://a", "redis+sentinel://a/main/x",
    ],
)  # fmt: skip
def test_a_redis_that_is_none_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(config.SettingsError, match=r"^REDIS_URL "):
        config.load({**ENVIRON, "REDIS_URL": url}, tmp_path)


@pytest.mark.parametrize(
    ("given", "host", "port", "state"),
    [
        ("postgresql://u:p@a:1,b/d", "a,b", "1,5432", "read-write"),
        ("postgresql://u:p@a,[::1]:2/d?target_session_attrs=any", "a,::1", "5432,2", "any"),
    ],
)
def test_the_database_may_have_several_hosts(
    given: str, host: str, port: str, state: str, tmp_path: Path
) -> None:
    url = make_url(config.load({**ENVIRON, "DATABASE_URL": given}, tmp_path).database_url)
    assert (url.username, url.password, url.database) == ("u", "p", "d")
    assert dict(url.query) == {"host": host, "port": port, "target_session_attrs": state}


def test_several_databases_of_which_one_is_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(config.SettingsError, match=r"^DATABASE_URL ") as refused:
        config.load({**ENVIRON, "DATABASE_URL": "postgresql://u:secret@a,b:x/d"}, tmp_path)
    assert "secret" not in str(refused.value)


def test_every_setting_that_is_read_is_known_as_ours() -> None:
    source = Path(config.__file__).read_text()
    read = set(re.findall(r"(?:reader|_Reader\(environ\))\.\w+\(\s*\"([A-Z_]+)\"", source))
    assert "SECRET_KEY" in read
    assert read == config.SETTINGS


@pytest.mark.database("sqlite")
def test_nobody_else_reads_the_database(app: Flask, settings: config.Settings) -> None:
    database = Path(make_url(settings.database_url).database or "")
    with app.app_context():
        db.engine.dispose()
        database.chmod(0o644)
        with unit_of_work() as session:
            session.add(Client(name="registrar", owner_email="pat@example.edu"))
        beside = [database, *database.parent.glob(f"{database.name}-*")]
        assert len(beside) == 3
        assert {one.stat().st_mode & 0o777 for one in beside} == {0o600}
