"""Pages out of templates, with the headers that every page has, and the files that they load."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

_HERE = Path(__file__).parent
_STATIC = {"console.css": "text/css", "console.js": "text/javascript"}
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
    """Renders; everything in a template is escaped, and a name that is missing is an error."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["when"] = _when

    def page(self, name: str, context: Mapping[str, Any], *, status: int = 200) -> Response:
        """A page."""
        html = self._templates.get_template(name).render(**context)
        return Response(html, status_code=status, media_type="text/html", headers=_HEADERS)


def static_routes() -> list[Route]:
    """The files that pages load."""
    return [_file(name, media_type) for name, media_type in _STATIC.items()]


def _file(name: str, media_type: str) -> Route:
    async def answer(request: Request) -> Response:
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return FileResponse(_HERE / "static" / name, media_type=media_type, headers=headers)

    return Route(f"/console/static/{name}", answer, methods=["GET"])


def _when(moment: str) -> Markup:
    """A time, which the script writes in the reader's zone; without it, UTC."""
    shown = datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(moment, shown)
