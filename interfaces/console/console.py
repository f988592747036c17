"""The console's routes: signing in and out, and the inbox."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from domain.values import is_uuid
from interfaces.console import inbox
from interfaces.console.api import Api, Refused
from interfaces.console.pages import Pages, static_routes
from interfaces.console.session import CookieSession, GatewaySession, bearer, is_from_here
from interfaces.ids import new_id
from interfaces.rest.errors import ApiError
from interfaces.rest.identity import Authenticator
from interfaces.rest.requests import raw_body

_MOST_FORM_BYTES = 256 * 1024
_HOME = "/console"

Page = Callable[[Request, Api, str], Awaitable[Response]]


class Console:
    """Pages for whoever is signed in; ``app`` is the REST API."""

    def __init__(
        self, app: ASGIApp, authenticate: Authenticator, session: CookieSession | GatewaySession
    ) -> None:
        self._app = app
        self._authenticate = authenticate
        self._session = session
        self._pages = Pages()

    def routes(self) -> list[Route]:
        """Every route, with its method."""
        one = f"{_HOME}/approvals/{{id}}"
        routes = [
            Route(_HOME, self._seen(self._inbox), methods=["GET"]),
            Route(_HOME, self._seen(self._decide), methods=["POST"]),
            Route(one, self._seen(self._approval), methods=["GET"]),
            Route(one, self._seen(self._act), methods=["POST"]),
            *static_routes(),
        ]
        if isinstance(self._session, CookieSession):
            routes.append(Route(f"{_HOME}/sign-in", self._sign_in, methods=["POST"]))
            routes.append(Route(f"{_HOME}/sign-out", self._sign_out, methods=["POST"]))
        return routes

    def _seen(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """A page for a known caller; whoever is not known is asked to sign in."""

        async def answer(request: Request) -> Response:
            if request.method == "POST" and not is_from_here(request):
                return self._told(403, "This form was not sent by a page of the console.")
            headers = self._session.headers(request)
            if headers is None:
                return self._door(401)
            try:
                person = self._authenticate(Headers(headers)).person
            except ApiError as error:
                return self._door(error.status, error.message)
            try:
                return await page(request, Api(self._app, headers), person or "")
            except Refused as refused:
                return self._told(refused.status, refused.message, person)

        return answer

    async def _inbox(self, request: Request, api: Api, person: str) -> Response:
        return await self._show_inbox(request, api, person)

    async def _show_inbox(
        self, request: Request, api: Api, person: str, refused: Refused | None = None
    ) -> Response:
        outcomes = await inbox.told(api, request.query_params.getlist("came"))
        context = {**await inbox.waiting_for(api, person), "outcomes": outcomes, "refused": refused}
        status = refused.status if refused else 200
        return self._pages.page("inbox.html", {**self._frame(person), **context}, status=status)

    async def _decide(self, request: Request, api: Api, person: str) -> Response:
        try:
            outcomes = await inbox.decide(api, person, await _form(request))
        except Refused as refused:
            return await self._show_inbox(request, api, person, refused)
        came = urlencode([("came", each) for each in outcomes])
        return RedirectResponse(f"{_HOME}?{came}" if came else _HOME, status_code=303)

    async def _approval(self, request: Request, api: Api, person: str) -> Response:
        return await self._show_approval(request, api, person)

    async def _show_approval(
        self, request: Request, api: Api, person: str, refused: Refused | None = None
    ) -> Response:
        context = await inbox.approval(api, _id_in(request))
        shown = {**self._frame(person), **context, "refused": refused}
        return self._pages.page("approval.html", shown, status=refused.status if refused else 200)

    async def _act(self, request: Request, api: Api, person: str) -> Response:
        id, form = _id_in(request), dict(await _form(request))
        try:
            await inbox.act(api, person, id, form)
        except Refused as refused:
            return await self._show_approval(request, api, person, refused)
        return RedirectResponse(f"{_HOME}/approvals/{id}", status_code=303)

    async def _sign_in(self, request: Request) -> Response:
        assert isinstance(self._session, CookieSession)
        if not is_from_here(request):
            return self._told(403, "This form was not sent by a page of the console.")
        form = dict(await _form(request))
        tenant, token = form.get("tenant", "").strip(), form.get("token", "").strip()
        try:
            self._authenticate(Headers(bearer(tenant, token)))
        except (ApiError, UnicodeError) as error:
            return self._door(401, str(error) if isinstance(error, ApiError) else "the token is not valid")
        response = RedirectResponse(_HOME, status_code=303)
        self._session.sign_in(request, response, tenant, token)
        return response

    async def _sign_out(self, request: Request) -> Response:
        assert isinstance(self._session, CookieSession)
        if not is_from_here(request):
            return self._told(403, "This form was not sent by a page of the console.")
        response = RedirectResponse(_HOME, status_code=303)
        self._session.sign_out(response)
        return response

    def _door(self, status: int, why: str | None = None) -> Response:
        return self._pages.page("sign_in.html", {**self._frame(None), "why": why}, status=status)

    def _told(self, status: int, message: str, person: str | None = None) -> Response:
        return self._pages.page("error.html", {**self._frame(person), "message": message}, status=status)

    def _frame(self, person: str | None) -> Mapping[str, Any]:
        return {"person": person, "signs_in": self._session.signs_in, "key": new_id()}


def _id_in(request: Request) -> str:
    """The id in the path, which goes into a path of the API and so may hold nothing else.

    Raises:
        Refused: it is none.
    """
    id = str(request.path_params["id"])
    if not is_uuid(id):
        raise Refused(404, "NOT_FOUND", f"there is no approval {id}")
    return quote(id.lower())


async def _form(request: Request) -> list[tuple[str, str]]:
    raw = await raw_body(request, _MOST_FORM_BYTES)
    return parse_qsl(raw.decode(errors="replace"))
