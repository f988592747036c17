"""Tokens of the platform (wire contract, section 3), for whichever tenant and user a request names."""

import time
from typing import Any

import jwt
import schemathesis

SECRET = "only-for-the-tests-of-the-contract"
SOMEONE = "1c7e9a2b-4d60-4f38-a5b1-8e2d0c6f4a97"
"""Who asks for approvals; whoever decides in the examples is another."""

SOME_TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def token(*, tenant: str = SOME_TENANT, user: str = SOMEONE, roles: tuple[str, ...] = ()) -> str:
    """A token that holds for ten minutes."""
    now = int(time.time())
    who: dict[str, Any] = {"sub": user, "tenantId": tenant, "roles": list(roles)}
    claims = who | {"type": "access", "iss": "coder", "iat": now, "exp": now + 600}
    return jwt.encode(claims, SECRET, algorithm="HS256")


class TokenForTheRequest:
    """Signs each generated request in as the tenant that it names, and as who decides in its body; an
    operator where only operators come in."""

    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        tenant = case.headers.get("X-Tenant-ID", SOME_TENANT)
        user = case.body.get("decidedBy") if isinstance(case.body, dict) else None
        roles = ("admin",) if case.path.startswith("/api/v1/system/") else ()
        user = user if isinstance(user, str) and 0 < len(user) < 256 else SOMEONE
        return token(tenant=tenant, user=user, roles=roles)

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"
