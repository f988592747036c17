"""Sessions of the console: the user's sign-in in an encrypted cookie, or the headers of a gateway.

The cookie contains the headers for the API, encrypted, so no store is needed. Every instance accepts a cookie
with a token. It is valid for a limited time, and never longer than its token.
"""

import base64
import secrets
from collections.abc import Mapping
from typing import Literal

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from interfaces.rest.this_machine import names_this_machine

COOKIE = "orchestrator_console"
_PATH = "/console"
_MOST_BYTES = 4096
"""The limit for a cookie's name and value (RFC 6265, 6.1). Browsers silently drop longer cookies."""
AsksFor = Literal["token", "name"]
"""What the sign-in form asks for."""

_TRUSTED = (b"x-tenant-id", b"x-user-id", b"x-user-roles")


Form = Mapping[str, str]


class NotHere(Exception):
    """A user wants to sign in by name, but not at an address of this machine."""


class TooLong(Exception):
    """The sign-in form has more content than fits into a cookie."""


class GatewaySession:
    """The gateway authenticates users. Its headers are passed on to the API unchanged."""

    asks_for: AsksFor | None = None

    def headers(self, request: Request) -> Headers | None:
        """Return the gateway's headers for the API, or None without a tenant. Duplicate headers are passed
        on, and the API refuses them."""
        given = Headers(raw=[(name, value) for name, value in request.headers.raw if name in _TRUSTED])
        return given if "x-tenant-id" in given else None


class CookieSession:
    """Users sign in with a form. A cookie is valid for ``seconds``."""

    def __init__(self, secret: str, seconds: int) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=b"workflow-orchestrator console v2")
        self._seal = Fernet(base64.urlsafe_b64encode(derived.derive(secret.encode())))
        self._seconds = seconds

    def headers(self, request: Request) -> Headers | None:
        """Return the headers for the API, or None if nobody is signed in."""
        try:
            sealed = request.cookies.get(COOKIE, "").encode()
            return _headers(msgspec.json.decode(self._seal.decrypt(sealed, ttl=self._seconds)))
        except InvalidToken:
            return None

    def sign_in(self, request: Request, response: Response, told: Form) -> None:
        """Set the cookie. ``told`` are the headers for the API, which must have been authenticated.

        Raises:
            TooLong: they do not fit into a cookie.
        """
        sealed = self._seal.encrypt(msgspec.json.encode(told)).decode()
        if len(COOKIE) + len(sealed) > _MOST_BYTES:
            raise TooLong("This does not fit into a cookie. Sign in with less, such as fewer roles.")
        response.set_cookie(
            COOKIE,
            sealed,
            max_age=self._seconds,
            path=_PATH,
            secure=not names_this_machine(request.headers),
            httponly=True,
            samesite="strict",
        )

    def sign_out(self, response: Response) -> None:
        """Delete the cookie."""
        response.delete_cookie(COOKIE, path=_PATH, httponly=True, samesite="strict")


class TokenSession(CookieSession):
    """Users sign in with a token of the platform, which the API verifies at each request."""

    asks_for: AsksFor | None = "token"

    def read_form(self, request: Request, form: Form) -> tuple[Form, Headers]:
        """Return the sign-in form's content for the cookie, and the same as headers for the API."""
        told = {"x-tenant-id": form.get("tenant", "").strip()}
        told["authorization"] = f"Bearer {form.get('token', '').strip()}"
        return told, _headers(told)


class NameSession(CookieSession):
    """For trying things out: users on this machine sign in by name, unless a gateway identifies them."""

    asks_for: AsksFor | None = "name"

    def __init__(self, seconds: int) -> None:
        super().__init__(secrets.token_hex(), seconds)
        self._gateway = GatewaySession()

    def headers(self, request: Request) -> Headers | None:
        """Return the headers for the API, or None if nobody is signed in."""
        given = self._gateway.headers(request)
        return given or (super().headers(request) if names_this_machine(request.headers) else None)

    def read_form(self, request: Request, form: Form) -> tuple[Form, Headers]:
        """Return the sign-in form's content for the cookie, and the same as headers for the API.

        Raises:
            NotHere: the request was not sent to an address of this machine.
        """
        if not names_this_machine(request.headers):
            raise NotHere("Open the console at an address of this machine, such as 127.0.0.1 or localhost.")
        names = {"x-tenant-id": "tenant", "x-user-id": "user", "x-user-roles": "roles"}
        told = {header: form.get(name, "").strip() for header, name in names.items()}
        return told, _headers(told)


def _headers(told: Form) -> Headers:
    """Return headers encoded as a client sends them, in UTF-8."""
    return Headers(raw=[(name.encode(), value.encode()) for name, value in told.items()])
