"""What the same HTTP server can do at best: one bare route that checks the token and reads one document.

    python -m benchmarks.reference_server PORT FILE

Starlette on uvicorn with uvloop and httptools, one process, as the service has it. Each request has its token
verified by PyJWT, is refused unless it belongs to the tenant of ``X-Tenant-ID``, and is answered with the
bytes that SQLite holds under the id, read on the event loop by one prepared statement. No validation,
metrics, request ids, or errors in the platform's form.
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
    """The one route over a file of documents."""
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
    """Serve until told to stop."""
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
