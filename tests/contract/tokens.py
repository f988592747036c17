"""Tokens of the platform (wire contract, section 3), for whichever tenant and user a request names."""

import time
from typing import Any

import jwt
import schemathesis

SECRET = "only-for-the-tests-of-the-contract"
SOMEONE = "1c7e9a2b-4d60-4f38-a5b1-8e2d0c6f4a97"
"""Who asks for approvals; whoever decides in the examples is another."""

SOME_TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def token(*, tenant: str = SOME_TENANT, user: str = SOMEONE) -> str:
    """A token that holds for ten minutes."""
    now = int(time.time())
    claims = {"sub": user, "tenantId": tenant, "type": "access", "iss": "coder", "iat": now, "exp": now + 600}
    return jwt.encode(claims, SECRET, algorithm="HS256")


class TokenForTheRequest:
    """Signs each generated request in as the tenant that it names, and as who decides in its body."""

    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        tenant = case.headers.get("X-Tenant-ID", SOME_TENANT)
        user = case.body.get("decidedBy") if isinstance(case.body, dict) else None
        return token(tenant=tenant, user=user if isinstance(user, str) and 0 < len(user) < 256 else SOMEONE)

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"
