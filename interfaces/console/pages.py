"""Pages out of templates, with the headers that every page has, and the files that they load."""

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
    """Renders; everything in a template is escaped, with what is hidden in it marked, and a name that is
    missing is an error. No file is opened for a page: there is one also where none can be opened any more."""

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
        """A page."""
        html = self._templates.get_template(name).render(**context)
        return Response(html, status_code=status, media_type="text/html", headers=_HEADERS)


def _templates() -> Mapping[str, str]:
    """All of them, by their names."""
    folder = _HERE / "templates"
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.html")}


def static_routes() -> list[Route]:
    """The files that pages load."""
    return [_file(path) for path in sorted((_HERE / "static").iterdir()) if path.suffix in _MEDIA_TYPES]


def _file(path: Path) -> Route:
    async def answer(request: Request) -> Response:
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix], headers=headers)

    return Route(f"/console/static/{path.name}", answer, methods=["GET"])


def _when(moment: str) -> Markup:
    """A time, which the script writes in the reader's zone; without it, UTC."""
    shown = datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(moment, shown)


@pass_context
def _left(context: Context, moment: str) -> str:
    """How long there is until then from the page's ``now``, or has been since, in its largest unit."""
    seconds = (datetime.fromisoformat(moment) - context["now"]).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{abs(seconds) // size:.0f} {unit} {'left' if seconds > 0 else 'late'}"
    return "less than a minute left" if seconds > 0 else "just now"


def _number(value: float) -> Markup:
    """A number, which the script writes as the reader's language does; without it, with commas."""
    shown = f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    return Markup('<data value="{0}" title="{0}">{1}</data>').format(value, shown)


def _lasted(milliseconds: float) -> str:
    """A length of time in its two largest units."""
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
    """JSON on several lines; a text as it is."""
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _risk(score: float) -> str:
    """In words, which is also the badge's class; the thresholds are the console's own, and decide nothing."""
    return "high" if score >= 0.7 else "medium" if score >= 0.4 else "low"


def _whom(keys: Sequence[str]) -> str:
    """Whom an approval waits for: ``user:ada``, ``group:finance``, ``role:cfo``, ``anyone``."""
    named = []
    for kind, _, name in (each.partition(":") for each in keys):
        named.append("anybody" if kind == "anyone" else name if kind == "user" else f"{kind} {name}")
    return ", ".join(named) or "nobody"
