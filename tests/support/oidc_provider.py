"""A provider of sign-ins by OpenID Connect: Authlib's own server side, in a process of its own.

It does what the documents say: authorization code with PKCE, discovery, keys, ID tokens, user info,
issuer in the answer (RFC 9207) and back-channel logout. Two providers live in it, `campus` and
`hospital`, each with its own issuer, keys and people. `/control` sets who its people are, and lets
it sign what a forger would have somebody believe.

    python -m tests.support.oidc_provider PORT
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import requests
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import OAuth2Error, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core import OpenIDCode, UserInfo
from flask import Flask, Response, jsonify, redirect, request
from flask import session as cookie
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import run_simple

SECRET = "a secret that only Dispatch and the provider know"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class Code:
    """What an authorization code stands for."""

    code: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    login: str
    sid: str
    auth_time: int = field(default_factory=lambda: int(time.time()))

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class AccessToken:
    """What may ask for user info."""

    login: str
    scope: str

    def is_expired(self) -> bool:
        return False

    is_revoked = is_expired

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Client:
    """Dispatch, as it is registered here."""

    client_id: str
    redirect_uris: list[str] = field(default_factory=list)
    logout_uri: str = ""
    way: str = "client_secret_basic"

    def check_redirect_uri(self, uri: str) -> bool:
        return uri in self.redirect_uris

    def check_client_secret(self, secret: str) -> bool:
        return secrets.compare_digest(secret, SECRET)

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method == self.way

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None


def by_password(header: dict[str, Any], claims: dict[str, Any], password: bytes) -> str:
    """Sign by HMAC as a forger does, by hand: the library refuses a public key as a password."""
    parts = [json.dumps(one).encode() for one in (header, claims)]
    signed = b".".join(base64.urlsafe_b64encode(one).rstrip(b"=") for one in parts)
    seal = base64.urlsafe_b64encode(hmac.digest(password, signed, "sha256")).rstrip(b"=")
    return (signed + b"." + seal).decode()


class House:
    """One provider's people, codes and keys, and what it is told to do wrong."""

    def __init__(self, name: str, issuer: str) -> None:
        self.issuer = issuer
        self.client = Client(f"dispatch-at-{name}")
        self.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.sids: dict[str, str] = {}
        self.asked = 0
        self.redeemed = 0
        self.reset()

    def reset(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.claims: dict[str, Any] = {}
        """Of ID tokens, instead of the right ones; None leaves one out."""
        self.sign = "RS256"
        self.only_userinfo: list[str] = []
        self.metadata: dict[str, Any] = {}

    def sealed(self, claims: dict[str, Any], typ: str = "JWT") -> str:
        """Sign as told: by our key, by none, by our public key as a password, by another key."""
        header = {"alg": "RS256", "typ": typ, "kid": self.key.kid}
        if self.sign == "none":
            return jwt.encode({**header, "alg": "none"}, claims, None, ["none"])
        if self.sign == "HS256":
            return by_password({**header, "alg": "HS256"}, claims, self.key.as_pem(private=False))
        if self.sign == "another key":
            return jwt.encode(header, claims, RSAKey.generate_key(2048), ["RS256"])
        return jwt.encode(header, claims, self.key, ["RS256"])

    def told(self, login: str, *, to_userinfo: bool) -> dict[str, Any]:
        person = self.people[login]
        return {k: v for k, v in person.items() if to_userinfo or k not in self.only_userinfo}

    def logout_token(self, **changed: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": self.client.client_id, "iat": now, "exp": now + 120,
            "jti": secrets.token_hex(8), "events": {EVENT: {}}, **changed,
        }  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        return self.sealed(kept, "logout+jwt")


def provider(name: str, issuer: str) -> Flask:  # noqa: C901 - its routes
    """Make the application of one provider."""
    app = Flask(name)
    app.secret_key = secrets.token_hex(16)
    app.config["SESSION_COOKIE_NAME"] = f"at_{name}"
    house = House(name, issuer)

    class CodeGrant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012

        def save_authorization_code(self, code: str, request: Any) -> None:
            asked = request.payload.data
            house.codes[code] = Code(
                code, request.payload.redirect_uri, request.payload.scope, asked.get("nonce"),
                asked.get("code_challenge"), asked.get("code_challenge_method"),
                request.user, house.sids[request.user],
            )  # fmt: skip

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return house.codes.get(code)

        def delete_authorization_code(self, code: Code) -> None:
            del house.codes[code.code]

        def authenticate_user(self, code: Code) -> str:
            return code.login

    class IdTokens(OpenIDCode):
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return any(one.nonce == nonce for one in house.codes.values())

        def resolve_client_private_key(self, client: Client) -> KeySet:
            return KeySet([house.key])

        def get_client_algorithm(self, client: Client) -> str:
            return "RS256"

        def get_client_claims(self, client: Client) -> dict[str, Any]:
            return {"iss": house.issuer}

        def generate_user_info(self, user: str, scope: str) -> UserInfo:
            return UserInfo(house.told(user, to_userinfo=False), sid=house.sids[user])

        def encode_id_token(self, token: Any, request: Any) -> str:
            made = super().encode_id_token(token, request)
            if not house.claims and house.sign == "RS256":
                return made
            claims = {**jwt.decode(made, house.key, ["RS256"]).claims, **house.claims}
            return house.sealed({k: v for k, v in claims.items() if v is not None})

    class Itself(IssuerParameter):
        def get_issuer(self) -> str:
            return house.issuer

    class Bearer(BearerTokenValidator):
        def authenticate_token(self, token_string: str) -> AccessToken | None:
            return house.tokens.get(token_string)

    def keep(token: dict[str, Any], request: Any) -> None:
        house.tokens[token["access_token"]] = AccessToken(request.user, token["scope"])

    server = AuthorizationServer(
        app, lambda one: house.client if one == house.client.client_id else None, keep
    )
    server.register_grant(CodeGrant, [CodeChallenge(required=True), IdTokens(require_nonce=True)])
    server.register_extension(Itself())
    protector = ResourceProtector()
    protector.register_token_validator(Bearer())

    @app.get("/.well-known/openid-configuration")
    def discovery() -> Response:
        house.asked += 1
        return jsonify({
            "issuer": house.issuer,
            "authorization_endpoint": f"{house.issuer}/authorize",
            "token_endpoint": f"{house.issuer}/token",
            "userinfo_endpoint": f"{house.issuer}/userinfo",
            "jwks_uri": f"{house.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [house.client.way],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
            **house.metadata,
        })  # fmt: skip

    @app.get("/keys")
    def keys() -> Response:
        return jsonify(KeySet([house.key]).as_dict())

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> Any:
        login = request.form.get("login") or cookie.get("login")
        try:
            grant = server.get_consent_grant(end_user=login)
        except OAuth2Error as error:
            return server.handle_error_response(server.create_oauth2_request(request), error)
        if login not in house.people:
            return f"""<!doctype html><title>Sign in at {name}</title><h1>{name}</h1>
<form method=post><label>User name <input name=login></label><button>Sign in</button></form>"""
        if cookie.get("login") != login:
            cookie["login"] = login
            house.sids[login] = secrets.token_hex(8)
        return server.create_authorization_response(grant_user=login, grant=grant)

    @app.post("/token")
    def token() -> Response:
        house.redeemed += 1
        return server.create_token_response()

    @app.get("/userinfo")
    @protector("openid")
    def userinfo() -> Response:
        key = request.headers["Authorization"].removeprefix("Bearer ")
        return jsonify(house.told(house.tokens[key].login, to_userinfo=True))

    @app.get("/logout")
    def logout() -> Any:
        """Sign out here, and tell Dispatch, as Back-Channel Logout has it."""
        login = cookie.pop("login")
        sealed = house.logout_token(sub=house.people[login]["sub"], sid=house.sids.pop(login))
        told = requests.post(house.client.logout_uri, data={"logout_token": sealed}, timeout=10)
        return f"<h1>Signed out</h1><p>Dispatch answered {told.status_code}.</p>"

    @app.post("/control")
    def control() -> Response:
        given = request.get_json()
        if given.pop("reset", False):
            house.reset()
        if given.pop("new_key", False):
            house.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        for key, value in given.pop("client", {}).items():
            setattr(house.client, key, value)
        if "logout_token" in given:
            return jsonify(token=house.logout_token(**given["logout_token"]))
        for key, value in given.items():
            setattr(house, key, value)
        return jsonify(sids=house.sids, asked=house.asked, redeemed=house.redeemed)

    return app


def main() -> None:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # this machine only
    port = int(sys.argv[1])
    here = f"http://127.0.0.1:{port}"
    empty = Flask("none")
    empty.add_url_rule("/", "first", lambda: redirect("/campus/.well-known/openid-configuration"))
    houses = {f"/{name}": provider(name, f"{here}/{name}") for name in ("campus", "hospital")}
    run_simple("127.0.0.1", port, DispatcherMiddleware(empty, houses), threaded=True)


if __name__ == "__main__":
    main()
