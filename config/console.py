"""Builds the console's part of the service."""

from starlette.types import ASGIApp

from application.ports import Clock
from config.sections import Settings
from interfaces.console.console import Console
from interfaces.console.session import GatewaySession, NameSession, TokenSession
from interfaces.rest.identity import Authenticator, Operators


def build_console(
    settings: Settings, api: ASGIApp, authenticate: Authenticator, operators: Operators, clock: Clock
) -> Console | None:
    """Build the pages over the API, or return None if they are disabled, or if another process has the
    API."""
    if not settings.console.enabled or "api" not in settings.service.roles:
        return None
    return Console(api, authenticate, operators, _session(settings), clock)


def _session(settings: Settings) -> TokenSession | NameSession | GatewaySession:
    seconds = int(settings.console.session_seconds)
    if settings.effective_auth_mode == "jwt":
        return TokenSession(settings.jwt.secret.get_secret_value(), seconds)
    return NameSession(seconds) if settings.console.trusts_visitors else GatewaySession()
