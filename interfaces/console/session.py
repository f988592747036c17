"""Who looks at the console: a sealed cookie made from a token, or a gateway's headers.

The cookie holds the token, encrypted: it needs no store, so any instance takes it. It is good for as long as
it was made for, and never longer than its token, which the API's own check verifies at each request.
"""

import base64
import ipaddress

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

COOKIE = "orchestrator_console"
_PATH = "/console"
_MOST_BYTES = 4096
"""Of a cookie's name and value (RFC 6265, 6.1): a browser lets a longer one drop, and says so to nobody."""
_TRUSTED = (b"x-tenant-id", b"x-user-id", b"x-user-roles")


class TooLong(Exception):
    """A token that no browser would keep."""


class GatewaySession:
    """The gateway has signed people in; its headers go on to the API as they came."""

    signs_in = False

    def headers(self, request: Request) -> Headers | None:
        """What the API is told of the caller; also what is said twice, which it refuses."""
        given = Headers(raw=[(name, value) for name, value in request.headers.raw if name in _TRUSTED])
        return given if "x-tenant-id" in given else None


class CookieSession:
    """People sign in with a token of the platform; ``seconds`` is how long a cookie is good."""

    signs_in = True

    def __init__(self, secret: str, seconds: int) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=b"workflow-orchestrator console v1")
        self._seal = Fernet(base64.urlsafe_b64encode(derived.derive(secret.encode())))
        self._seconds = seconds

    def headers(self, request: Request) -> Headers | None:
        """What the API is told of the caller; nothing where nobody is signed in."""
        try:
            sealed = request.cookies.get(COOKIE, "").encode()
            tenant, _, token = self._seal.decrypt(sealed, ttl=self._seconds).decode().partition(" ")
        except InvalidToken:
            return None
        return bearer(tenant, token)

    def sign_in(self, request: Request, response: Response, tenant: str, token: str) -> None:
        """Give out the cookie, once the API has taken the token.

        Raises:
            TooLong: it does not fit in.
        """
        sealed = self._seal.encrypt(f"{tenant} {token}".encode()).decode()
        if len(COOKIE) + len(sealed) > _MOST_BYTES:
            raise TooLong(
                f"a token of {len(token)} characters does not fit into a cookie: sign in with a shorter one, "
                "such as of fewer roles"
            )
        response.set_cookie(
            COOKIE,
            sealed,
            max_age=self._seconds,
            path=_PATH,
            secure=not _is_here(request.url.hostname or ""),
            httponly=True,
            samesite="strict",
        )

    def sign_out(self, response: Response) -> None:
        """Take it back."""
        response.delete_cookie(COOKIE, path=_PATH, httponly=True, samesite="strict")


def bearer(tenant: str, token: str) -> Headers:
    """A token as the API takes it.

    Raises:
        UnicodeError: it cannot be one.
    """
    return Headers({"x-tenant-id": tenant, "authorization": f"Bearer {token}"})


def _is_here(host: str) -> bool:
    """Whether a browser reaches us on its own machine, where there is no TLS."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
