"""Names of this machine, and a guard for a service that believes whoever is on it.

A page whose name has come to mean this machine (DNS rebinding) is of the service's own origin for a browser:
it may send any header and read every answer. Its requests still name its own host.
"""

import ipaddress
import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from interfaces.rest.errors import ApiError, on_api_error

_HOST = re.compile(r"(?:\[(?P<in_brackets>[^\]]*)\]|(?P<plain>[^:\[\]]*))(?::[0-9]*)?")
"""RFC 9110, 7.2: a name or an address, IPv6 in brackets, and perhaps a port."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address: 127.0.0.0/8, ::1, localhost (api.md, "modes")."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback


def names_this_machine(headers: Headers) -> bool:
    """Whether a request came by a name of this machine, at any port; it says one name, or it did not."""
    given = headers.getlist("host")
    found = _HOST.fullmatch(given[0]) if len(given) == 1 else None
    return found is not None and is_loopback(found["in_brackets"] or found["plain"] or "")


class ThisMachineOnly:
    """Answers 421 to what came by another name, whatever was asked for, and to nobody as a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or refuse it."""
        if scope["type"] != "http" or names_this_machine(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.state.tell = None
        response = await on_api_error(request, _misdirected())
        await response(scope, receive, send)


def _misdirected() -> ApiError:
    return ApiError(
        421,
        "MISDIRECTED",
        "without JWT_SECRET or AUTH_MODE the service answers only at localhost and loopback addresses: use "
        "one of these, or set AUTH_MODE=gateway if a gateway in front checks the tokens",
    )
