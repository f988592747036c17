"""The console's routes: authentication, signing in and out, and the pages of each part."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from application.ports import Clock
from domain.values import SYSTEM_TENANT
from interfaces.console import (
    audit_pages,
    delegations_pages,
    inbox_pages,
    jobs_pages,
    parked_pages,
    system_pages,
    workflows_pages,
)
from interfaces.console.api import Api, Document, Refused
from interfaces.console.pages import Pages, static_routes
from interfaces.console.session import GatewaySession, NameSession, NotHere, TokenSession, TooLong
from interfaces.console.trouble import address_of, trouble
from interfaces.console.visit import HOME, Handler, Visit, form_of, frame_of
from interfaces.rest.errors import ApiError
from interfaces.rest.identity import Authenticator, Caller, Operators
from interfaces.rest.origin import is_from_here

_PARTS = (
    inbox_pages.ROUTES,
    delegations_pages.ROUTES,
    workflows_pages.ROUTES,
    jobs_pages.ROUTES,
    audit_pages.ROUTES,
    system_pages.ROUTES,
    parked_pages.ROUTES,
)


_SOME_TENANT = "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10"
"""The tenant of the README's tour and of the demo."""

_MOST_SIGN_IN_BYTES = 64 * 1024
"""The limit for the one form that anybody can send, which has a token and an address."""


class Console:
    """Pages for users who are signed in. ``app`` is the REST API."""

    def __init__(
        self,
        app: ASGIApp,
        authenticate: Authenticator,
        operators: Operators,
        session: TokenSession | NameSession | GatewaySession,
        clock: Clock,
    ) -> None:
        self._app = app
        self._authenticate = authenticate
        self._operators = operators
        self._session = session
        self._clock = clock
        self._pages = Pages()

    def routes(self) -> list[Route]:
        """Return all routes."""
        routes = [
            Route(path, self._authenticated(handler), methods=[method])
            for part in _PARTS
            for method, path, handler in part
        ]
        if not isinstance(self._session, GatewaySession):
            routes.append(Route(f"{HOME}/sign-in", self._sign_in, methods=["POST"]))
            routes.append(Route(f"{HOME}/sign-in", _to_sign_in, methods=["GET"]))
            routes.append(Route(f"{HOME}/sign-out", self._sign_out, methods=["POST"]))
        return [*static_routes(), Route(f"{HOME}/", _home, methods=["GET"]), *routes]

    def error_page(
        self, request: Request, status: int, message: str, headers: Mapping[str, str] | None
    ) -> Response | None:
        """Return an error page for a request to the console that no page has handled, or None for other
        requests."""
        if not f"{request.url.path}/".startswith(f"{HOME}/"):
            return None
        known = self._session.headers(request)
        try:
            caller = self._authenticate(known) if known is not None else None
        except ApiError:
            caller = None
        if known is None or caller is None:
            page = self._plain_error_page(request, status, message)
        else:
            page = self._visit(request, Api(self._app, known), caller).error_page(status, message)
        page.headers.update(headers or {})
        return page

    def _authenticated(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that calls a page's handler for an authenticated user, and asks others to sign
        in."""

        async def answer(request: Request) -> Response:
            if request.method == "POST" and not is_from_here(request):
                return self._not_from_here(request)
            headers = self._session.headers(request)
            if headers is None:
                return self._sign_in_page(request, 401)
            try:
                caller = self._authenticate(headers)
            except ApiError as error:
                return self._sign_in_page(request, error.status, error.message)
            visit = self._visit(request, Api(self._app, headers), caller)
            try:
                return await handler(visit)
            except (ApiError, Refused) as refused:
                return visit.error_page(refused.status, refused.message, refused.code)

        return answer

    async def _sign_in(self, request: Request) -> Response:
        assert not isinstance(self._session, GatewaySession)
        if not is_from_here(request):
            return self._not_from_here(request)
        to, form = HOME, dict[str, str]()
        try:
            form = dict(await form_of(request, _MOST_SIGN_IN_BYTES))
            to = _inside(form.get("to", ""))
            told, headers = self._session.read_form(request, form)
            self._authenticate(headers)
            response = RedirectResponse(to, status_code=303)
            self._session.sign_in(request, response, told)
        except (ApiError, NotHere, TooLong) as error:
            return self._sign_in_page(request, 401, str(error), to=to, form=form)
        return response

    async def _sign_out(self, request: Request) -> Response:
        assert not isinstance(self._session, GatewaySession)
        if not is_from_here(request):
            return self._not_from_here(request)
        response = RedirectResponse(HOME, status_code=303)
        self._session.sign_out(response)
        return response

    def _sign_in_page(
        self,
        request: Request,
        status: int,
        why: str | None = None,
        *,
        to: str = "",
        form: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the sign-in page, which leads on ``to`` a page, or to the one that was requested. The
        content of its own ``form`` is filled in again, except a token. If another form was sent, the page
        says that it was not processed. If a link on another site led here, the browser has not sent the
        cookie of a user who may be signed in: the page reloads itself, and then it does."""
        asks_for = self._session.asks_for
        context = {
            **frame_of(None, signs_in=asks_for is not None),
            "asks_for": asks_for,
            "tenants": (_SOME_TENANT, SYSTEM_TENANT),
            "given": Document({name: text for name, text in (form or {}).items() if name != "token"}),
            "why": why,
            "onward": to or address_of(request),
            "loads_again": asks_for is not None and not why and _comes_from_elsewhere(request),
            "is_undone": not to and request.method == "POST",
        }
        return self._pages.page("sign_in.html", context, status=status)

    def _not_from_here(self, request: Request) -> Response:
        return self._plain_error_page(request, 403, "This form was not sent from a page of the console.")

    def _plain_error_page(self, request: Request, status: int, message: str) -> Response:
        frame = frame_of(None, signs_in=self._session.asks_for is not None)
        return self._pages.page("error.html", {**frame, **trouble(request, status, message)}, status=status)

    def _visit(self, request: Request, api: Api, caller: Caller) -> Visit:
        is_operator, signs_in = self._operators.has(caller), self._session.asks_for is not None
        return Visit(
            request,
            api,
            caller,
            self._pages,
            now=self._clock.now(),
            is_operator=is_operator,
            signs_in=signs_in,
        )


async def _home(request: Request) -> Response:
    return RedirectResponse(HOME, status_code=308)


async def _to_sign_in(request: Request) -> Response:
    """Go to the home page, which asks for a sign-in if need be. A refused sign-in leaves the browser at this
    address, where it may be loaded again or kept as a bookmark."""
    return RedirectResponse(HOME, status_code=303)


def _inside(address: str) -> str:
    """Return an address if it is one of the console, or else the console's home page."""
    return address if address.startswith((f"{HOME}/", f"{HOME}?")) else HOME


def _comes_from_elsewhere(request: Request) -> bool:
    return request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site"
