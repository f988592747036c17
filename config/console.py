"""The console's part of the service."""

from starlette.types import ASGIApp

from config.sections import Settings
from interfaces.console.console import Console
from interfaces.console.session import CookieSession, GatewaySession
from interfaces.rest.identity import Authenticator, Operators


def build_console(
    settings: Settings, api: ASGIApp, authenticate: Authenticator, operators: Operators
) -> Console | None:
    """Pages over the API; none where they are switched off, or the API is another process's."""
    if not settings.console.enabled or "api" not in settings.service.roles:
        return None
    session: CookieSession | GatewaySession = GatewaySession()
    if settings.effective_auth_mode == "jwt":
        seconds = int(settings.console.session_seconds)
        session = CookieSession(settings.jwt.secret.get_secret_value(), seconds)
    return Console(api, authenticate, operators, session)
