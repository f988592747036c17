"""Renders pages from templates, with the headers of every page, and serves the files that pages load."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import DictLoader, Environment, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from interfaces.console.hidden import shown

_HERE = Path(__file__).parent
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Pages:
    """Renders templates. All values are escaped, invisible characters are marked, and a missing name is an
    error. The templates are read once, so that pages can be shown even if no more files can be opened."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=DictLoader(_templates()),
            autoescape=True,
            finalize=shown,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            when=_when, left=_left, number=_number, risk=_risk, lasted=_lasted, pretty=pretty, whom=_whom
        )
        self._templates.get_template("error.html")

    def page(self, name: str, context: Mapping[str, Any], *, status: int = 200) -> Response:
        """Return a page."""
        html = self._templates.get_template(name).render(**context)
        return Response(html, status_code=status, media_type="text/html", headers=_HEADERS)


def _templates() -> Mapping[str, str]:
    """Return all templates by name."""
    folder = _HERE / "templates"
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.html")}


def static_routes() -> list[Route]:
    """Return the routes of the files that pages load."""
    return [_file(path) for path in sorted((_HERE / "static").iterdir()) if path.suffix in _MEDIA_TYPES]


def _file(path: Path) -> Route:
    async def answer(request: Request) -> Response:
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix], headers=headers)

    return Route(f"/console/static/{path.name}", answer, methods=["GET"])


def _when(moment: str) -> Markup:
    """Return a time in UTC. The script converts it to the reader's time zone."""
    shown = datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(moment, shown)


@pass_context
def _left(context: Context, moment: str) -> str:
    """Return the time from the page's ``now`` until a moment, or since then, in its largest unit."""
    seconds = (datetime.fromisoformat(moment) - context["now"]).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{abs(seconds) // size:.0f} {unit} {'left' if seconds > 0 else 'late'}"
    return "less than a minute left" if seconds > 0 else "just now"


def _number(value: float) -> Markup:
    """Return a number with commas. The script converts it to the format of the reader's language."""
    shown = f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    return Markup('<data value="{0}" title="{0}">{1}</data>').format(value, shown)


def _lasted(milliseconds: float) -> str:
    """Return a duration in its two largest units."""
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    for unit, size, next_unit, next_size in (
        ("d", 86_400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} {seconds % size // next_size:.0f} {next_unit}"
    raise AssertionError(seconds)


def pretty(value: object) -> str:
    """Return a value as indented JSON, or a text unchanged."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _risk(score: float) -> str:
    """Return a risk score in words, which are also the badge's CSS class. The thresholds are for display
    only."""
    return "high" if score >= 0.7 else "medium" if score >= 0.4 else "low"


def _whom(keys: Sequence[str]) -> str:
    """Return in words whom an approval waits for: ``user:ada``, ``group:finance``, ``role:cfo``,
    ``anyone``."""
    named = []
    for kind, _, name in (each.partition(":") for each in keys):
        named.append("anybody" if kind == "anyone" else name if kind == "user" else f"{kind} {name}")
    return ", ".join(named) or "nobody"
