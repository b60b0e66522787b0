"""Settings: read from the environment once, typed, and checked before anything starts.

Every setting has its one home here. :func:`load` raises :class:`SettingsError` with one sentence
that names the setting at fault, so that a process which cannot work does not start at all.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from cryptography.fernet import Fernet
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SHORTEST_SECRET = 16
"""Characters below which a secret of production is refused; a developer's may be anything."""
LONGEST_MAIL_FROM = 23
"""Characters before the @ to which 41 more are added for answers and bounces: 64 in all, which is
what a mail server takes (RFC 5321, 4.5.3.1.1)."""
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SETTINGS = frozenset({
    "API_REQUESTS_PER_MINUTE", "BIND", "DATABASE_URL", "DEFAULT_AREA_CODE", "DEFAULT_LOCALITY",
    "ENCRYPTION_KEYS", "ENVIRONMENT", "INSTANCE_FOLDER", "LOCAL_PASSWORDS", "LOG_LEVEL",
    "MAIL_FROM", "MAIL_IN_URL", "METRICS_TOKEN", "OIDC_PROVIDERS", "ONE_PARENT", "PORT",
    "PUBLIC_BASE_URL", "REDIS_URL", "SECOND_FACTOR", "SECRET_KEY", "SECRET_KEY_FALLBACKS",
    "SHORT_LINK_BASE_URL", "SMTP_URL", "SUPPORT_EMAIL", "TRANSCRIBE_URL", "TRUSTED_PROXY_HOPS",
    "TWILIO_API_BASE_URL", "WEBHOOK_ALLOWED_NETWORKS", "WEBHOOK_DENIED_NETWORKS", "WEB_CONCURRENCY",
})  # fmt: skip
"""Every setting of ours: what may hold our secrets, and is lent to nobody's configuration file."""
_REDIS_SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix")
_SEVERAL_HOSTS = re.compile(r"[^:]+://(?:(?P<user>[^@/?]*)@)?(?P<hosts>[^/?#]*)(?P<rest>[/?].*)?")
_EMAIL = re.compile(r"[^\s<>,@]+@[^\s<>,@]+")
_MAPPED_BITS = 96
"""Behind which an IPv6 address may hold one of IPv4: ``::ffff:10.0.0.1`` (RFC 4291, 2.5.5.2)."""
_YES_OR_NO = ("1", "0", "true", "false", "yes", "no")
INSTANCE = Path(__file__).parent / "instance"


class SettingsError(ValueError):
    """A setting is missing or malformed; the message is one sentence that names it."""


@dataclass(frozen=True)
class GroupRole:
    """What a group of a provider of sign-ins gives: a role for a client, or Dispatch support."""

    group: str
    role: str
    """``owner``, ``staff`` or ``support``."""
    client: str | None
    """The client's name; None for support, which sees every client."""


@dataclass(frozen=True)
class OidcProvider:
    """One provider of sign-ins by OpenID Connect, as ``OIDC_PROVIDERS`` describes it."""

    name: str
    """In our addresses and on the button."""
    issuer: str
    """Exactly as the provider writes it into its tokens, a slash at its end included."""
    client_id: str
    client_secret: str = field(repr=False)
    groups_claim: str
    groups: tuple[GroupRole, ...]


@dataclass(frozen=True)
class Settings:
    """What one process of Dispatch needs to know. Secrets are kept out of ``repr``."""

    environment: str
    secret_key: str = field(repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(repr=False)
    encryption_keys: tuple[str, ...] = field(repr=False)
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    port: int
    public_base_url: str
    short_link_base_url: str
    twilio_api_base_url: str | None
    smtp_url: str | None = field(repr=False)
    mail_from: str
    mail_in_url: str | None = field(repr=False)
    """Where answers and bounces are read; None where nobody reads them."""
    support_email: str
    transcribe_url: str | None = field(repr=False)
    """The operator's own engine that writes down voice messages; it may hold a password."""
    webhook_allowed_networks: tuple[Network, ...]
    webhook_denied_networks: tuple[Network, ...]
    trusted_proxy_hops: int
    metrics_token: str | None = field(repr=False)
    oidc_providers: tuple[OidcProvider, ...]
    """Who may sign people in beside ourselves, in the order of their buttons."""
    local_passwords: bool
    """Whether people may have a password of Dispatch's own, and sign in with it."""
    second_factor: str
    """Who must have a second factor beside it: ``support``, ``all``, or nobody (``off``)."""
    log_level: str
    api_requests_per_minute: int
    default_area_code: str
    default_locality: str
    instance: Path
    """The folder beside the code for what belongs to this machine alone."""

    @property
    def is_development(self) -> bool:
        """Whether this is a developer's machine rather than a service that people rely on."""
        return self.environment == "development"

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is an SQLite file."""
        return self.database_url.startswith("sqlite")


@dataclass(frozen=True)
class RedisAddress:
    """What `REDIS_URL` says. `service` is a master's name where the hosts are Sentinels."""

    scheme: str
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    db: int
    service: str | None
    sentinel_username: str | None = field(repr=False)
    sentinel_password: str | None = field(repr=False)


def redis_address(url: str) -> RedisAddress:
    """Read `REDIS_URL`: `redis://[user:password@]host[:port][,host[:port]…][/number]`, `rediss://`
    the same by TLS, `redis+sentinel://[user:password@]sentinel[:port][,…]/service[/number]` with
    `?sentinel_username=…&sentinel_password=…` where the Sentinels want them, or `unix:///path`.

    :raises SettingsError: when it is none of these.
    """
    scheme = url.partition("://")[0]
    if scheme not in _REDIS_SCHEMES or "://" not in url:
        beginnings = " or ".join(f"{scheme}://" for scheme in _REDIS_SCHEMES)
        raise SettingsError(f"REDIS_URL must begin with {beginnings}.")
    by_sentinel = scheme.endswith("+sentinel")
    found = _SEVERAL_HOSTS.fullmatch(url)
    if found is None or (scheme != "unix" and not found["hosts"]):
        raise SettingsError("REDIS_URL cannot be read; it names no host.")
    user, _, password = (found["user"] or "").partition(":")
    rest = urlsplit(found["rest"] or "")
    options = dict(parse_qsl(rest.query))
    path = [unquote(part) for part in rest.path.split("/") if part]
    service = path.pop(0) if by_sentinel and path else None
    if scheme == "unix":
        hosts: tuple[tuple[str, int], ...] = ()
        path = []
    else:
        hosts = _hosts("REDIS_URL", found["hosts"], 26379 if by_sentinel else 6379)
    if by_sentinel and service is None:
        raise SettingsError("REDIS_URL names no service; Sentinel needs one: …/service/0.")
    if len(path) > 1 or (path and not (path[0].isascii() and path[0].isdigit())):
        raise SettingsError("REDIS_URL must end in the number of a database, such as /0.")
    return RedisAddress(
        scheme=scheme,
        tls=scheme.startswith("rediss"),
        hosts=hosts,
        username=unquote(user) or None,
        password=unquote(password) or None,
        db=int(path[0]) if path else 0,
        service=service,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
    )


def load(environ: Mapping[str, str] = os.environ, instance: Path = INSTANCE) -> Settings:
    """Read and check all settings.

    :param environ: the environment to read; empty values count as not set.
    :param instance: the folder in which development keeps its secrets and its database.
    :raises SettingsError: at the first setting that is missing or malformed.
    """
    reader = _Reader(environ)
    environment = reader.choice("ENVIRONMENT", ("production", "development"), "production")
    development = environment == "development"
    kept = instance if development else None
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
    port = reader.integer("PORT", 8000, 1, 65535)
    public = reader.url("PUBLIC_BASE_URL", f"http://127.0.0.1:{port}" if development else None)
    twilio = reader.url("TWILIO_API_BASE_URL", "") or None
    if not development:
        _require_https("PUBLIC_BASE_URL", public)
        if twilio:
            _require_https("TWILIO_API_BASE_URL", twilio)
    providers = _oidc_providers(reader.text("OIDC_PROVIDERS", ""), development)
    mail_from = reader.email("MAIL_FROM", f"dispatch@{_mail_host(public)}")
    return Settings(
        environment=environment,
        secret_key=reader.secret("SECRET_KEY", kept, lambda: secrets.token_urlsafe(48)),
        secret_key_fallbacks=reader.items("SECRET_KEY_FALLBACKS"),
        encryption_keys=_fernet_keys(
            reader.secret("ENCRYPTION_KEYS", kept, lambda: Fernet.generate_key().decode())
        ),
        database_url=_database_url(
            reader.text("DATABASE_URL", f"sqlite:///{kept / 'dispatch.db'}" if kept else None)
        ),
        redis_url=_redis_url(reader.text("REDIS_URL", "redis://127.0.0.1:6379/0")),
        port=port,
        public_base_url=public,
        short_link_base_url=reader.url("SHORT_LINK_BASE_URL", public),
        twilio_api_base_url=twilio,
        smtp_url=_smtp_url(reader.scheme("SMTP_URL", "", ("smtp", "smtps"))),
        mail_from=mail_from,
        mail_in_url=_mail_in_url(reader.scheme("MAIL_IN_URL", "", ("imaps", "lmtp")), mail_from),
        support_email=reader.email("SUPPORT_EMAIL", mail_from),
        transcribe_url=_transcribe_url(
            reader.scheme("TRANSCRIBE_URL", "", ("http", "https")), development
        ),
        webhook_allowed_networks=reader.networks("WEBHOOK_ALLOWED_NETWORKS"),
        webhook_denied_networks=reader.networks("WEBHOOK_DENIED_NETWORKS"),
        trusted_proxy_hops=reader.integer("TRUSTED_PROXY_HOPS", 0, 0, 10),
        metrics_token=reader.text("METRICS_TOKEN", "") or None,
        oidc_providers=providers,
        local_passwords=_local_passwords(reader, providers),
        second_factor=reader.choice(
            "SECOND_FACTOR", ("support", "all", "off"), "off" if development else "support"
        ),
        log_level=reader.choice("LOG_LEVEL", LOG_LEVELS, "INFO"),
        api_requests_per_minute=reader.integer("API_REQUESTS_PER_MINUTE", 6000, 1, 1_000_000),
        default_area_code=str(reader.integer("DEFAULT_AREA_CODE", 319, 200, 999)),
        default_locality=reader.text("DEFAULT_LOCALITY", "Iowa City"),
        instance=Path(reader.text("INSTANCE_FOLDER", str(instance))).absolute(),
    )


def listen_address(environ: Mapping[str, str] = os.environ) -> str:
    """Return where `web` listens, as gunicorn writes it: `BIND`, on `PORT` unless it names one.

    `BIND` is an address (`0.0.0.0`, `::`), an address and a port (`10.0.0.5:8000`), or
    `unix:/path/of/a/socket`; this machine only (127.0.0.1) where it is not set.

    :raises SettingsError: when it is none of these.
    """
    reader = _Reader(environ)
    bind = reader.text("BIND", "127.0.0.1")
    if bind.startswith("unix:/"):
        return bind
    with contextlib.suppress(ValueError):  # an IPv6 address has colons, but no port
        bind = f"[{ipaddress.IPv6Address(bind)}]"
    parts = _split(f"//{bind}")
    if parts is None or not parts.hostname or parts.netloc != bind or "@" in bind:
        raise SettingsError(
            f"BIND is {bind!r}; it must be an address such as 127.0.0.1 or 0.0.0.0, with or"
            " without a port, or unix:/path."
        )
    return bind if parts.port else f"{bind}:{reader.integer('PORT', 8000, 1, 65535)}"


def web_concurrency(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many processes of `web` run the application: `WEB_CONCURRENCY`, 4 by default.

    :raises SettingsError: when it is no number from 1 to 256.
    """
    return _Reader(environ).integer("WEB_CONCURRENCY", 4, 1, 256)


def one_parent(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether `web` keeps the workers and the clock too: `ONE_PARENT`, no by default.

    :raises SettingsError: when it is neither yes nor no.
    """
    return _Reader(environ).choice("ONE_PARENT", _YES_OR_NO, "0") in ("1", "true", "yes")


class _Reader:
    """Typed reads from the environment; every failure names its setting."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {name: value.strip() for name, value in environ.items()}

    def text(self, name: str, default: str | None) -> str:
        value = self._environ.get(name) or default
        if value is None:
            raise SettingsError(f"{name} is not set; it is required in production.")
        return value

    def secret(self, name: str, kept_in: Path | None, make: Callable[[], str]) -> str:
        value = self._environ.get(name)
        if not value and kept_in is not None:
            value = _kept_secret(kept_in / name.lower(), make)
        if not value:
            raise SettingsError(f"{name} is not set; it is required in production.")
        if kept_in is None and len(value) < SHORTEST_SECRET:
            raise SettingsError(f"{name} is too short; use 32 random characters or more.")
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise SettingsError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name, str(default))
        if not (value.isascii() and value.isdigit()) or not low <= int(value) <= high:
            raise SettingsError(
                f"{name} is {value!r}; it must be a whole number from {low} to {high}."
            )
        return int(value)

    def items(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name, "").split(",") if part.strip())

    def networks(self, name: str) -> tuple[Network, ...]:
        try:
            return tuple(network(item) for item in self.items(name))
        except ValueError as error:
            raise SettingsError(
                f"{name} must hold networks such as 10.1.0.0/16: {error}."
            ) from error

    def scheme(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if not value:
            return value
        parts = _split(value)
        if parts is None:
            raise SettingsError(f"{name} cannot be read; its host or port is malformed.")
        if parts.scheme not in allowed:
            beginnings = " or ".join(f"{scheme}://" for scheme in allowed)
            raise SettingsError(f"{name} must begin with {beginnings}.")
        return value

    def url(self, name: str, default: str | None) -> str:
        value = self.text(name, default).rstrip("/")
        if not value:
            return value
        parts = _split(value)
        if (
            parts is None
            or parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query or parts.fragment or parts.username
        ):  # fmt: skip
            raise SettingsError(
                f"{name} is {value!r}; it must be http:// or https:// with a host, and without"
                " user, query or fragment."
            )
        return value

    def email(self, name: str, default: str | None) -> str:
        value = self.text(name, default)
        if not (value.isascii() and _EMAIL.fullmatch(value)):
            raise SettingsError(f"{name} is {value!r}; it must be one e-mail address, in ASCII.")
        return value


def _split(url: str) -> SplitResult | None:
    """Return the parts of ``url``, or None where its host or port cannot be one."""
    try:
        parts = urlsplit(url)
        sound = parts.port != 0 and not any(character.isspace() for character in url)
    except ValueError:
        return None
    return parts if sound else None


def _kept_secret(path: Path, make: Callable[[], str]) -> str:
    """Read a development secret, made at the first start; two first starts agree on one."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(make())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # atomic, and never over what another start has just made
        draft.unlink()
    return path.read_text()


def _mail_host(public: str) -> str:
    """The host of our own address, if mail can come from there: an IP address has no mailboxes."""
    host = urlsplit(public).hostname or ""
    return host if re.search(r"[a-z]$", host) else "localhost"


def _require_https(name: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or _is_loopback(parts.hostname or ""):
        return
    raise SettingsError(
        f"{name} is {url!r}; in production it must begin with https:// unless the host is a"
        " loopback address."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fernet_keys(text: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in text.split(",") if part.strip())
    for key in keys:
        try:
            Fernet(key)
        except ValueError as error:
            raise SettingsError(
                "ENCRYPTION_KEYS holds something that is no Fernet key; each must be 32 random"
                " bytes in URL-safe base64, newest first."
            ) from error
    return keys


def _redis_url(url: str) -> str:
    redis_address(url)
    return url


def _hosts(name: str, text: str, port: int) -> tuple[tuple[str, int], ...]:
    """Read `host[:port],…`; ``port`` is the default."""
    found = []
    for item in text.split(","):
        parts = _split(f"//{item}")
        if parts is None or not parts.hostname:
            raise SettingsError(f"{name} cannot be read; its host or port is malformed.")
        found.append((parts.hostname, parts.port or port))
    return tuple(found)


def _several_hosts(url: str) -> str:
    """Write the hosts of a PostgreSQL URL, where there are several, as libpq's parameters.

    The first that takes writes is used, unless `target_session_attrs` says otherwise.
    """
    found = _SEVERAL_HOSTS.fullmatch(url)
    if found is None or "," not in found["hosts"]:
        return url
    hosts = _hosts("DATABASE_URL", found["hosts"], 5432)
    rest = urlsplit(found["rest"] or "/")
    options = {
        "target_session_attrs": "read-write",
        **dict(parse_qsl(rest.query, keep_blank_values=True)),
        "host": ",".join(host for host, _ in hosts),
        "port": ",".join(str(port) for _, port in hosts),
    }
    user = f"{found['user']}@" if found["user"] else ""
    return f"postgresql+psycopg://{user}{rest.path}?{urlencode(options)}"


def _database_url(url: str) -> str:
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            url = _several_hosts("postgresql+psycopg://" + url.removeprefix(scheme))
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise SettingsError("DATABASE_URL must begin with postgresql:// or sqlite:///")
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):  # whose message would show the password
        raise SettingsError("DATABASE_URL cannot be read; its host or port is malformed.") from None
    if parts.drivername == "sqlite" and parts.database in (None, "", ":memory:"):
        raise SettingsError("DATABASE_URL names no file; our processes share one database.")
    return url


def _smtp_url(url: str) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if not parts.hostname:
        raise SettingsError("SMTP_URL names no host.")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name != "starttls" or value.lower() not in _YES_OR_NO:
            raise SettingsError("SMTP_URL may end in ?starttls=1 or ?starttls=0, and nothing else.")
    return url


def _transcribe_url(url: str, development: bool) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if not parts.hostname or parts.fragment:
        raise SettingsError("TRANSCRIBE_URL must be a web address with a host, without a fragment.")
    if not development and parts.scheme != "https" and not _is_loopback(parts.hostname):
        raise SettingsError(
            "TRANSCRIBE_URL must begin with https:// in production, unless the host is a loopback"
            " address: what people say in confidence goes there."
        )
    return url


def network(text: str) -> Network:
    """Read a network such as ``10.20.0.0/16``; IPv4 written as IPv6 is read as what it means.

    :raises ValueError: when it is none, or has bits of a host in it.
    """
    found = ipaddress.ip_network(text.strip())
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= _MAPPED_BITS:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    return found


def _mail_in_url(url: str, mail_from: str) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if not parts.hostname:
        raise SettingsError("MAIL_IN_URL names no host.")
    if parts.query or parts.fragment:
        raise SettingsError("MAIL_IN_URL must end after its host, port and folder.")
    if parts.scheme == "lmtp" and (parts.port is None or parts.username or parts.path.strip("/")):
        raise SettingsError("MAIL_IN_URL must be lmtp://host:port, the address to listen on.")
    if parts.scheme == "imaps" and not (parts.username and parts.password):
        raise SettingsError("MAIL_IN_URL names no log-in: imaps://user:password@host.")
    if len(mail_from.rpartition("@")[0]) > LONGEST_MAIL_FROM:
        raise SettingsError(
            f"MAIL_FROM has more than {LONGEST_MAIL_FROM} characters before its @: with MAIL_IN_URL"
            " the addresses for answers begin with them, and would be too long."
        )
    return url


LONGEST_ISSUER = 255
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_PROVIDER_KEYS = ("name", "issuer", "client_id", "client_secret", "groups_claim", "groups")
_GROUP_ROLES = ("owner", "staff", "support")


def _oidc_providers(text: str, development: bool) -> tuple[OidcProvider, ...]:
    if not text:
        return ()
    try:
        listed = json.loads(text)
    except ValueError:  # whose message would show a part of the secrets
        raise SettingsError("OIDC_PROVIDERS is no JSON; see docs/sign-in.md.") from None
    if not isinstance(listed, list):
        raise SettingsError("OIDC_PROVIDERS must be a JSON list of objects, one for each provider.")
    found = tuple(_oidc_provider(one, place, development) for place, one in enumerate(listed))
    for what, used in (
        ("the name", [one.name.lower() for one in found]),
        ("the issuer", [one.issuer for one in found]),
    ):
        for one in used:
            if used.count(one) > 1:
                raise SettingsError(f"OIDC_PROVIDERS has {what} {one!r} twice.")
    return found


def _oidc_provider(given: Any, place: int, development: bool) -> OidcProvider:
    where = f"OIDC_PROVIDERS[{place}]"
    if not isinstance(given, dict):
        raise SettingsError(f"{where} must be an object with {', '.join(_PROVIDER_KEYS)}.")
    for key in given:
        if key not in _PROVIDER_KEYS:
            known = ", ".join(_PROVIDER_KEYS)
            raise SettingsError(f"{where} has the unknown key {key!r}; it may have {known}.")
    words = {"groups_claim": "groups", **{k: v for k, v in given.items() if k != "groups"}}
    for key in _PROVIDER_KEYS[:-1]:
        word = words.get(key)
        if not isinstance(word, str) or not word or not word.isprintable():
            raise SettingsError(f"{where}.{key} must be a text on one line, and not empty.")
    if not _PROVIDER_NAME.fullmatch(words["name"]):
        raise SettingsError(
            f"{where}.name is {words['name']!r}; it must be letters, digits, - and _, at most 32:"
            " it is a part of an address."
        )
    if not is_safe_origin(words["issuer"], development):
        raise SettingsError(
            f"{where}.issuer is {words['issuer']!r}; it must be https:// with a host, and without"
            " user, query or fragment."
        )
    if len(words["issuer"]) > LONGEST_ISSUER:
        raise SettingsError(f"{where}.issuer has more than {LONGEST_ISSUER} characters.")
    groups = given.get("groups", {})
    if not isinstance(groups, dict):
        raise SettingsError(f"{where}.groups must be an object: a role for each group.")
    return OidcProvider(
        **words,
        groups=tuple(_group_role(where, group, gives) for group, gives in groups.items()),
    )


def _local_passwords(reader: _Reader, providers: tuple[OidcProvider, ...]) -> bool:
    are_open = reader.choice("LOCAL_PASSWORDS", _YES_OR_NO, "1") in ("1", "true", "yes")
    if not are_open and not providers:
        raise SettingsError(
            "LOCAL_PASSWORDS is off, and OIDC_PROVIDERS names nobody: no person could sign in."
        )
    return are_open


def is_safe_origin(url: str, development: bool) -> bool:
    """Tell whether what a provider of sign-ins says may be fetched from ``url``.

    Plain http only on this machine, or where a developer tries it.
    """
    parts = _split(url)
    if parts is None or not parts.hostname or parts.username or parts.query or parts.fragment:
        return False
    plain = development or _is_loopback(parts.hostname)
    return parts.scheme == "https" or (parts.scheme == "http" and plain)


def _group_role(where: str, group: str, gives: Any) -> GroupRole:
    place = f"{where}.groups[{group!r}]"
    if not isinstance(gives, dict) or gives.keys() - {"client", "role"}:
        raise SettingsError(f'{place} must be an object such as {{"client": …, "role": "staff"}}.')
    role, client = gives.get("role"), gives.get("client")
    if role not in _GROUP_ROLES:
        raise SettingsError(f"{place} has the role {role!r}; it must be owner, staff or support.")
    if role == "support" and client is not None:
        raise SettingsError(f"{place} names a client, but support sees every client; leave it out.")
    if role != "support" and (not isinstance(client, str) or not client.strip()):
        raise SettingsError(f"{place} names no client for which the role is given.")
    return GroupRole(group, role, client.strip() if client else None)
