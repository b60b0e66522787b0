"""Is this request really from Twilio? The check of X-Twilio-Signature.

Twilio's "Security" page gives the algorithm: the full URL as Twilio was told it, query string
verbatim; then, for a form POST, every distinct name in byte order, followed by each distinct
value in order, without separators; HMAC-SHA1 with the account's auth token, base64.

It is written out here because the twilio library's `RequestValidator` raises on a missing
signature, on a body in bytes and on an odd port, splits a host name with credentials or IPv6 at
the wrong colon, drops a bare "?" and accepts a JSON body whose hash it never looked at. Wherever
it works, it is the oracle of our tests.

Twilio's newer signatures with a shared key say so in X-Twilio-Webhooks-Signature-Settings
(``key=webhooks_sharedkey_…,algorithm=HMAC_SHA256``): the same, with that key's secret and SHA-256.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from urllib.parse import parse_qs

HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
_HASHES = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_DEFAULT_PORTS = {"https": "443", "http": "80"}


def signed_url(public_base_url: str, raw_target: str) -> str:
    """Return the URL that Twilio signed: our public address and the request target, undecoded.

    `raw_target` is path and query exactly as in the request line (WSGI servers call it RAW_URI or
    REQUEST_URI). The Host and X-Forwarded headers play no part: any client can write them. A
    target in absolute form loses its scheme and host.
    """
    if not raw_target.startswith("/") and "://" in raw_target:
        slash = raw_target.find("/", raw_target.index("://") + 3)
        raw_target = raw_target[slash:] if slash >= 0 else "/"
    return public_base_url.rstrip("/") + raw_target


def compute(
    url: str, params: Iterable[tuple[str, str]], token: str, settings: str | None = None
) -> str:
    """Return the signature of a form POST of `params` to `url`; no params for a GET or JSON.

    Raises ValueError for an algorithm in `settings` that is none of Twilio's.
    """
    algorithm = _hash_of(settings)
    if algorithm is None:
        raise ValueError(f"{settings!r} names no algorithm of Twilio's")
    return _digest(_bytes(url) + _flatten(params), token, algorithm).decode("ascii")


def verify(
    url: str,
    params: Sequence[tuple[str, str]],
    signature: str | None,
    tokens: Iterable[str],
    body: bytes | None = None,
    settings: str | None = None,
) -> bool:
    """Tell whether `signature` is right for the request under any of `tokens`.

    `url` comes from `signed_url`. `params` are the pairs of a form POST, decoded, repeated and
    blank ones included (empty for a GET). For a body that is not a form, pass its bytes as
    `body`: the URL must then carry its SHA-256 in ``bodySHA256``. `tokens` are the account's auth
    token and, during a rotation, the next one, and the secrets of its shared keys; blank ones are
    skipped. `settings` is the header `SETTINGS_HEADER`, where it came.

    Port variants are tried as Twilio's own libraries do, since Twilio has signed with and without.
    Never raises, whatever the request holds; the comparison takes constant time.
    """
    given = _bytes(signature or "")
    algorithm = _hash_of(settings)
    if not given or algorithm is None:
        return False
    if body:
        if not _body_matches(url, body):
            return False
        params = ()
    tail = _flatten(params)
    keys = [token for token in tokens if token]
    return any(
        hmac.compare_digest(_digest(_bytes(variant) + tail, token, algorithm), given)
        for variant in _variants(url)
        for token in keys
    )


def _hash_of(settings: str | None) -> str | None:
    """Return the hash that the settings name; SHA-1 where they name none, None for another."""
    for part in (settings or "").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return _HASHES.get(value.strip().upper())
    return _HASHES["HMAC_SHA1"]


def _digest(message: bytes, token: str, algorithm: str) -> bytes:
    return b64encode(hmac.digest(_bytes(token), message, algorithm))


def _flatten(params: Iterable[tuple[str, str]]) -> bytes:
    # Sorting by code point is sorting by UTF-8 byte.
    return _bytes("".join(name + value for name, value in sorted(set(params))))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _body_matches(url: str, body: bytes) -> bool:
    query = url.partition("#")[0].partition("?")[2]
    try:
        expected = parse_qs(query).get("bodySHA256", [""])[0]
    except ValueError:  # more fields than the parser allows: not a request of Twilio's
        return False
    return hmac.compare_digest(sha256(body).hexdigest().encode(), _bytes(expected))


def _variants(url: str) -> list[str]:
    """Return `url` as given, without its port, and with one; each also without a bare "?"."""
    url = url.partition("#")[0]
    scheme, mark, rest = url.partition("://")
    if not mark:
        return [url]
    end = next((index for index, sign in enumerate(rest) if sign in "/?"), len(rest))
    authority, path = rest[:end], rest[end:]
    credentials, at, host = authority.rpartition("@")
    name, port = _split_port(host)
    hosts = [host, name]
    if not port and scheme in _DEFAULT_PORTS:
        hosts.append(f"{name}:{_DEFAULT_PORTS[scheme]}")
    paths = [path, path[:-1]] if path.endswith("?") else [path]
    found = (f"{scheme}://{credentials}{at}{one}{tail}" for one in hosts for tail in paths)
    return list(dict.fromkeys(found))


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in name or name.endswith("]")):
        return name, port
    return host, ""
