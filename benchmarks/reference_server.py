"""The best that the same HTTP server can do: a single route that checks the token and reads one document.

    python -m benchmarks.reference_server PORT FILE

Starlette on uvicorn with uvloop and httptools in one process, like the service. For each request, PyJWT
verifies the token, its tenant is compared with ``X-Tenant-ID``, and the response is the document's bytes,
read from SQLite in the event loop with one prepared statement. There are no validation, metrics, request IDs,
or errors in the platform's form.
"""

import sqlite3
import sys

import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.load import APPROVALS, SECRET

TABLE = "CREATE TABLE documents (tenant TEXT, id TEXT, body BLOB, PRIMARY KEY (tenant, id)) WITHOUT ROWID"
_READ = "SELECT body FROM documents WHERE tenant = ? AND id = ?"


def application(path: str) -> Starlette:
    """Return the application for a file of documents."""
    connection = sqlite3.connect(path)

    async def get(request: Request) -> Response:
        claims = jwt.decode(
            request.headers["authorization"].removeprefix("Bearer "),
            SECRET,
            algorithms=["HS256"],
            issuer="coder",
            options={"require": ["exp", "iat", "iss", "sub"]},
        )
        tenant = request.headers["x-tenant-id"]
        if claims["tenantId"] != tenant:
            return Response(status_code=403)
        row = connection.execute(_READ, (tenant, request.path_params["id"])).fetchone()
        return Response(row[0], media_type="application/json") if row else Response(status_code=404)

    return Starlette(routes=[Route(f"{APPROVALS}/{{id}}", get), Route("/ready", lambda _: Response())])


def main() -> None:
    """Serve until stopped."""
    uvicorn.run(
        application(sys.argv[2]),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
