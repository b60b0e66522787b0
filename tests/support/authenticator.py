"""A device that keeps one passkey and does as it is told, also what no honest one does.

What it writes is laid out as Web Authentication has it (6.1 authenticator data, 6.5.1 attested
credential data, 5.8.1 client data), with attestation `none` and a key for ES256.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers.encode_cbor import encode_cbor

PRESENT, ATTESTED = 0x01, 0x40


class Device:
    """A security key at one site."""

    def __init__(self, host: str, origin: str) -> None:
        self.host, self.origin = host, origin
        self.id = secrets.token_bytes(32)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.uses = 0

    def sets_up(self, options: str, **lies: Any) -> str:
        """Answer `navigator.credentials.create`."""
        client = self._client("webauthn.create", options, lies)
        numbers = self.key.public_key().public_numbers()
        x, y = (one.to_bytes(32, "big") for one in (numbers.x, numbers.y))
        public = encode_cbor({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + public
        data = self._data(PRESENT | ATTESTED, lies) + attested
        made = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer({"clientDataJSON": client, "attestationObject": made})

    def proves(self, options: str, **lies: Any) -> str:
        """Answer `navigator.credentials.get`."""
        self.uses += 1
        client = self._client("webauthn.get", options, lies)
        data = self._data(PRESENT, lies)
        signed = data + hashlib.sha256(client).digest()
        seal = lies.get("key", self.key).sign(signed, ec.ECDSA(hashes.SHA256()))
        parts = {"clientDataJSON": client, "authenticatorData": data, "signature": seal}
        return self._answer(parts)

    def _client(self, kind: str, options: str, lies: dict[str, Any]) -> bytes:
        told = {
            "type": lies.get("type", kind),
            "challenge": lies.get("challenge", json.loads(options)["challenge"]),
            "origin": lies.get("origin", self.origin),
        }
        return json.dumps(told).encode()

    def _data(self, flags: int, lies: dict[str, Any]) -> bytes:
        host = lies.get("host", self.host)
        flags = lies.get("flags", flags)
        uses = lies.get("uses", self.uses)
        return hashlib.sha256(host.encode()).digest() + struct.pack(">BI", flags, uses)

    def _answer(self, parts: dict[str, bytes]) -> str:
        own = _text(self.id)
        response = {name: _text(value) for name, value in parts.items()}
        return json.dumps({"id": own, "rawId": own, "type": "public-key", "response": response})


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
