"""``/openapi.yaml``, ``/asyncapi.yaml`` and ``/docs``: the contracts, and a page to read and try them.

The page is Swagger UI from the package ``swagger-ui-py`` and loads nothing from the internet. Its content
security policy allows only requests to this service, and no inline scripts.
"""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

CONTRACTS = ("openapi.yaml", "asyncapi.yaml")
"""The contracts of HTTP and of RabbitMQ."""

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "LICENSE": "text/plain",
}
"""The files of Swagger UI that the page needs, and its licence, under ``/docs/``."""

_PAGE = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Workflow Orchestrator</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="docs/swagger-ui.css">
  </head>
  <body>
    <p style="margin: 1em; font-family: sans-serif">
      Over HTTP: <a href="openapi.yaml">openapi.yaml</a>, below.
      Over RabbitMQ: <a href="asyncapi.yaml">asyncapi.yaml</a>.
    </p>
    <div id="contract"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/init.js"></script>
  </body>
</html>
"""

_INIT_SCRIPT = """\
SwaggerUIBundle({
  url: "openapi.yaml",
  domNode: document.getElementById("contract"),
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
"""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ASKED_AGAIN = {"Cache-Control": "no-cache"}
_PAGE_HEADERS = {
    **_ASKED_AGAIN,
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ASSET_HEADERS = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}


def docs_routes() -> list[Route]:
    """Return the routes of the contracts, of ``/docs``, and of the files that the page loads.

    Raises:
        FileNotFoundError: a contract or Swagger UI is not installed with the service.
    """
    static = _swagger_ui()
    return [
        *(_text(f"/{name}", contract(name), "application/yaml", _ASKED_AGAIN) for name in CONTRACTS),
        _text("/docs", _PAGE.encode(), "text/html", _PAGE_HEADERS),
        _text("/docs/init.js", _INIT_SCRIPT.encode(), "text/javascript", _ASSET_HEADERS),
        *(_file(f"/docs/{name}", static / name, media_type) for name, media_type in ASSETS.items()),
    ]


def contract(name: str) -> bytes:
    """Return a contract. It is beside this module if the service is installed, else at the project's root.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    installed = files(__package__) / name
    if installed.is_file():
        return installed.read_bytes()
    return (Path(__file__).parents[2] / name).read_bytes()


def _swagger_ui() -> Path:
    """Return the directory of Swagger UI, without importing its package, which would load a template
    engine."""
    spec = find_spec("swagger_ui")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        static = Path(location) / "static"
        if all((static / name).is_file() for name in ASSETS):
            return static
    raise FileNotFoundError("Swagger UI is not installed: swagger-ui-py is missing or incomplete")


def _text(path: str, content: bytes, media_type: str, headers: dict[str, str]) -> Route:
    async def answer(request: Request) -> Response:
        return Response(content, media_type=media_type, headers=headers)

    return Route(path, answer, methods=["GET"])


def _file(path: str, file: Path, media_type: str) -> Route:
    async def answer(request: Request) -> Response:
        return FileResponse(file, media_type=media_type, headers=_ASSET_HEADERS)

    return Route(path, answer, methods=["GET"])
