"""A guard for a service that trusts every program on its machine.

By DNS rebinding, the name of a web page can resolve to this machine. The browser then treats the page and the
service as one origin: the page may send any header and read every response. Its requests still have its own
name as ``Host``.
"""

import ipaddress
import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from interfaces.rest.errors import ApiError, on_api_error

_HOST = re.compile(r"(?:\[(?P<in_brackets>[^\]]*)\]|(?P<plain>[^:\[\]]*))(?::[0-9]*)?")
"""RFC 9110, 7.2: a name or an address (IPv6 in brackets) and an optional port."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address: 127.0.0.0/8, ::1, localhost (api.md,
    "modes")."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback


def names_this_machine(headers: Headers) -> bool:
    """Return whether a request has exactly one ``Host``, and it is this machine, at any port."""
    given = headers.getlist("host")
    found = _HOST.fullmatch(given[0]) if len(given) == 1 else None
    return found is not None and is_loopback(found["in_brackets"] or found["plain"] or "")


class ThisMachineOnly:
    """Responds with 421 to every request that names another host, always as JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request, or refuse it."""
        if scope["type"] != "http" or names_this_machine(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.state.error_page = None
        response = await on_api_error(request, _misdirected())
        await response(scope, receive, send)


def _misdirected() -> ApiError:
    return ApiError(
        421,
        "MISDIRECTED",
        "without JWT_SECRET or AUTH_MODE the service answers only at localhost and loopback addresses: use "
        "one of these, or set AUTH_MODE=gateway if a gateway in front checks the tokens",
    )
