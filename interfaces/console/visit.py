"""A request of somebody who is known, and what a page has to answer it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
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
from interfaces.rest.identity import Caller
from interfaces.rest.requests import raw_body

HOME = "/console"
_MOST_FORM_BYTES = 256 * 1024


class Visit:
    """Somebody asks for a page, or sends a form; ``api`` answers as to them. For all that a page tells of
    times it is ``now``.

    By ``is_operator`` a page tells what it offers; what may be done, the API says.
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
        """What stands in the address."""
        return {name: typed(value) for name, value in self.request.query_params.items()}

    def id_of(self, what: str) -> str:
        """The id in the path, which goes into a path of the API and so may hold nothing else.

        Raises:
            Refused: it is none; ``what`` it would be the id of is said.
        """
        id = str(self.request.path_params["id"])
        if not is_uuid(id):
            raise Refused(404, "NOT_FOUND", f"There is no {what} {id}.")
        return quote(id.lower())

    async def form(self) -> list[tuple[str, str]]:
        """The fields of the form that was sent; raises as ``form_of``."""
        return await form_of(self.request)

    def page(self, template: str, context: Mapping[str, Any], refused: Refused | None = None) -> Response:
        """A page, which says what of it the API refused."""
        status = refused.status if refused else 200
        return self._pages.page(template, {**self._frame(), **context, "refused": refused}, status=status)

    def told(self, status: int, message: str, code: str = "") -> Response:
        """A page that only says what is the matter."""
        context = {**self._frame(), **trouble(self.request, status, message, code)}
        return self._pages.page("error.html", context, status=status)

    def goes_to(self, address: str) -> Response:
        """The page that is shown after a form."""
        return RedirectResponse(address, status_code=303)

    def _frame(self) -> Mapping[str, Any]:
        path = self.request.url.path
        frame = frame_of(self.person, signs_in=self._signs_in, path=path, tenant=self._tenant)
        return {**frame, "now": self.now}


Handler = Callable[[Visit], Awaitable[Response]]


async def form_of(request: Request) -> list[tuple[str, str]]:
    """The fields of the form that was sent, also those that are empty.

    Raises:
        ApiError: it is too large.
    """
    raw = await raw_body(request, _MOST_FORM_BYTES)
    return [
        (name, typed(value))
        for name, value in parse_qsl(raw.decode(errors="replace"), keep_blank_values=True)
    ]


def frame_of(
    person: str | None, *, signs_in: bool, path: str = "", tenant: str | None = None
) -> Mapping[str, Any]:
    """What every page has; the key is for its form. Whoever is of the system tenant is led to what is its."""
    return {
        "person": person,
        "signs_in": signs_in,
        "key": new_id(),
        "path": path,
        "is_of_the_system": tenant == SYSTEM_TENANT,
        "who": f"{tenant} {person}" if tenant else "",
        "is_undone": False,
    }
