"""The service's own tokens, in the form that the neighbours check (wire contract, section 3)."""

import time

import jwt
from cachetools import LRUCache

TOKEN_SECONDS = 300
_RENEWED_BEFORE_SECONDS = 60
_MOST_KEPT = 1024


class ServiceTokens:
    """Signs a short-lived access token for each tenant, and keeps it until shortly before it expires."""

    def __init__(self, secret: str, *, issuer: str, service: str) -> None:
        self._secret = secret
        self._issuer = issuer
        self._service = service
        self._kept: LRUCache[str, tuple[float, str]] = LRUCache(_MOST_KEPT)

    def for_tenant(self, tenant: str) -> str | None:
        """Return a token of the tenant, or None without a secret to sign with."""
        if not self._secret:
            return None
        now = time.time()
        issued_at, token = self._kept.get(tenant, (0.0, ""))
        if not 0 <= now - issued_at < TOKEN_SECONDS - _RENEWED_BEFORE_SECONDS:
            token = self._sign(tenant, int(now))
            self._kept[tenant] = (now, token)
        return token

    def _sign(self, tenant: str, now: int) -> str:
        claims = {
            "sub": self._service,
            "tenantId": tenant,
            "type": "access",
            "iss": self._issuer,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")
