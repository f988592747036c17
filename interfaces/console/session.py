"""Who looks at the console: what was said at the door, in a sealed cookie, or a gateway's headers.

The cookie holds what the API is told, encrypted: it needs no store. Any instance takes one with a token; it
is good for as long as it was made for, and never longer than its token.
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
"""Of a cookie's name and value (RFC 6265, 6.1): a browser lets a longer one drop, and says so to nobody."""
AsksFor = Literal["token", "name"]
"""What one signs in with."""

_TRUSTED = (b"x-tenant-id", b"x-user-id", b"x-user-roles")


Form = Mapping[str, str]


class NotHere(Exception):
    """Somebody would say who they are, and does not sit at this machine."""


class TooLong(Exception):
    """What somebody has given at the door is more than a browser would keep."""


class GatewaySession:
    """The gateway has signed people in; its headers go on to the API as they came."""

    asks_for: AsksFor | None = None

    def headers(self, request: Request) -> Headers | None:
        """What the API is told of the caller; also what is said twice, which it refuses."""
        given = Headers(raw=[(name, value) for name, value in request.headers.raw if name in _TRUSTED])
        return given if "x-tenant-id" in given else None


class CookieSession:
    """People say at the door who they are; ``seconds`` is how long a cookie is good."""

    def __init__(self, secret: str, seconds: int) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=b"workflow-orchestrator console v2")
        self._seal = Fernet(base64.urlsafe_b64encode(derived.derive(secret.encode())))
        self._seconds = seconds

    def headers(self, request: Request) -> Headers | None:
        """What the API is told of the caller; nothing where nobody is signed in."""
        try:
            sealed = request.cookies.get(COOKIE, "").encode()
            return _headers(msgspec.json.decode(self._seal.decrypt(sealed, ttl=self._seconds)))
        except InvalidToken:
            return None

    def sign_in(self, request: Request, response: Response, told: Form) -> None:
        """Give out the cookie, once the API has taken what it is told.

        Raises:
            TooLong: it does not fit in.
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
        """Take it back."""
        response.delete_cookie(COOKIE, path=_PATH, httponly=True, samesite="strict")


class TokenSession(CookieSession):
    """With a token of the platform, which the API verifies at each request."""

    asks_for: AsksFor | None = "token"

    def told_by(self, request: Request, form: Form) -> tuple[Form, Headers]:
        """What the API is told after that form; and the same as headers."""
        told = {"x-tenant-id": form.get("tenant", "").strip()}
        told["authorization"] = f"Bearer {form.get('token', '').strip()}"
        return told, _headers(told)


class NameSession(CookieSession):
    """Whoever sits at this machine is believed, unless a gateway says who they are: to try things out."""

    asks_for: AsksFor | None = "name"

    def __init__(self, seconds: int) -> None:
        super().__init__(secrets.token_hex(), seconds)
        self._gateway = GatewaySession()

    def headers(self, request: Request) -> Headers | None:
        """What the API is told of the caller; nothing where nobody is signed in."""
        given = self._gateway.headers(request)
        return given or (super().headers(request) if names_this_machine(request.headers) else None)

    def told_by(self, request: Request, form: Form) -> tuple[Form, Headers]:
        """What the API is told after that form; and the same as headers.

        Raises:
            NotHere: the browser did not come by an address of this machine.
        """
        if not names_this_machine(request.headers):
            raise NotHere("Open the console at an address of this machine, such as 127.0.0.1 or localhost.")
        names = {"x-tenant-id": "tenant", "x-user-id": "user", "x-user-roles": "roles"}
        told = {header: form.get(name, "").strip() for header, name in names.items()}
        return told, _headers(told)


def _headers(told: Form) -> Headers:
    """As a client sends them: in UTF-8."""
    return Headers(raw=[(name.encode(), value.encode()) for name, value in told.items()])
