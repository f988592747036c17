"""A request of an authenticated user, and the means to respond to it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from domain.values import SYSTEM_TENANT, is_uuid
from interfaces.console.api import Api, Refused
from interfaces.console.hidden import typed
from interfaces.console.pages import Pages
from interfaces.console.trouble import trouble
from interfaces.ids import new_id
from interfaces.rest.errors import ApiError
from interfaces.rest.identity import Caller
from interfaces.rest.requests import MAX_BODY_BYTES, raw_body

HOME = "/console"
_MOST_FIELDS = 10_000
"""How many fields a form has at most: reading many small ones takes long."""
_AFTER_OWNER = "."
"""Separates the parts of a key: for whom it was made, and a UUID."""


class Visit:
    """A request for a page, or with a form. ``api`` is called as the user. All relative times of a page are
    relative to ``now``.

    ``is_operator`` determines which actions a page offers. Whether they are allowed, the API decides.
    """

    def __init__(
        self,
        request: Request,
        api: Api,
        caller: Caller,
        pages: Pages,
        *,
        now: datetime,
        is_operator: bool,
        signs_in: bool,
    ) -> None:
        self.request = request
        self.api = api
        self.now = now
        self.person = caller.person or ""
        self.is_operator = is_operator
        self._tenant = caller.tenant
        self._pages = pages
        self._signs_in = signs_in

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters in the address."""
        return {name: typed(value) for name, value in self.request.query_params.items()}

    def id_of(self, what: str) -> str:
        """Return the UUID in the path, which can be used in a path of the API. ``what`` is the object it
        identifies, for the error.

        Raises:
            Refused: it is not a UUID.
        """
        id = str(self.request.path_params["id"])
        if not is_uuid(id):
            raise Refused(404, "NOT_FOUND", f"There is no {what} {id}.")
        return quote(id.lower())

    async def form(self) -> list[tuple[str, str]]:
        """Return the fields of the form that was sent.

        Raises:
            ApiError: 413, it is too large, or has too many fields.
            Refused: its page was made for another user or tenant: a later sign-in in another tab has replaced
                the cookie.
        """
        fields = await form_of(self.request)
        owner, is_marked, _ = dict(fields).get("key", "").partition(_AFTER_OWNER)
        if is_marked and owner != _owner_of(_who(self._tenant, self.person)):
            now = f"{self.person or 'nobody'} of tenant {self._tenant}"
            told = f"This page was loaded for another user or tenant, and you are now signed in as {now}."
            raise Refused(409, "CONFLICT", told)
        return fields

    def page(self, template: str, context: Mapping[str, Any], refused: Refused | None = None) -> Response:
        """Return a page, with the error if an action was ``refused``."""
        status = refused.status if refused else 200
        return self._pages.page(template, {**self._frame(), **context, "refused": refused}, status=status)

    def error_page(self, status: int, message: str, code: str = "") -> Response:
        """Return an error page."""
        context = {**self._frame(), **trouble(self.request, status, message, code)}
        return self._pages.page("error.html", context, status=status)

    def goes_to(self, address: str) -> Response:
        """Redirect to a page after a form was processed."""
        return RedirectResponse(address, status_code=303)

    def _frame(self) -> Mapping[str, Any]:
        path = self.request.url.path
        frame = frame_of(self.person, signs_in=self._signs_in, path=path, tenant=self._tenant)
        return {**frame, "now": self.now}


Handler = Callable[[Visit], Awaitable[Response]]


async def form_of(request: Request, most: int = MAX_BODY_BYTES) -> list[tuple[str, str]]:
    """Return the fields of the form that was sent, including empty ones, of at most ``most`` bytes.

    Raises:
        ApiError: 413, it is too large, or has too many fields.
    """
    raw = await raw_body(request, most)
    if raw.count(b"&") >= _MOST_FIELDS:
        raise ApiError(413, "PAYLOAD_TOO_LARGE", f"the form must have at most {_MOST_FIELDS} fields")
    return [
        (name, typed(value))
        for name, value in parse_qsl(raw.decode(errors="replace"), keep_blank_values=True)
    ]


def frame_of(
    person: str | None, *, signs_in: bool, path: str = "", tenant: str | None = None
) -> Mapping[str, Any]:
    """Return the context that every page has: a new idempotency key for its forms, which also says for whom
    they were made, and for the system tenant the links to its pages."""
    who = _who(tenant, person) if tenant else ""
    return {
        "person": person,
        "signs_in": signs_in,
        "key": f"{_owner_of(who)}{_AFTER_OWNER}{new_id()}",
        "path": path,
        "is_of_the_system": tenant == SYSTEM_TENANT,
        "who": who,
        "is_undone": False,
    }


def _who(tenant: str, person: str | None) -> str:
    return f"{tenant} {person}"


def _owner_of(who: str) -> str:
    """Return what a key has of the user for whom it was made. It protects from mistakes, not from forgery:
    that is what the cookie and the origin are for."""
    return sha256(who.encode()).hexdigest()[:16]
