"""The pages of the process: its dependencies, its followers and its settings."""

from collections.abc import Sequence

from starlette.responses import Response

from interfaces.console.shown_settings import sections_of
from interfaces.console.visit import HOME, Handler, Visit

_DEPENDENCIES = (
    ("eventStore", "Event store"),
    ("documents", "Documents"),
    ("broker", "Broker"),
    ("scheduler", "Scheduler"),
    ("approvals", "Approvals file"),
)


async def show(visit: Visit) -> Response:
    """Show the results of the process's health checks."""
    ready = await visit.api.probe("/ready")
    context = {
        "ready": ready,
        "is_operator": visit.is_operator,
        "health": await visit.api.probe("/health"),
        "dependencies": [(name, ready["checks"][key]) for key, name in _DEPENDENCIES],
        "followers": sorted(ready["checks"]["followers"], key=lambda each: -each["lagSeconds"]),
    }
    return visit.page("system/system.html", context)


async def show_settings(visit: Visit) -> Response:
    """Show the effective settings."""
    shown = await visit.api.get("/system/settings")
    context = {"sections": sections_of(shown), "versions": shown["versions"]}
    return visit.page("system/settings.html", context)


ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", f"{HOME}/system", show),
    ("GET", f"{HOME}/system/settings", show_settings),
)
