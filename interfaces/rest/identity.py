"""Authentication: the caller and the tenant, from a signed token or from a gateway that has checked one."""

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import jwt
import msgspec
from starlette.datastructures import Headers

from domain.errors import NotAllowed
from domain.faults import Fault
from domain.values import LONGEST_ID, NOT_PERSONS, is_id, is_person, is_uuid
from interfaces.rest.errors import ApiError, Invalid

ANONYMOUS = "gateway:anonymous"

CLOCK_LEEWAY_SECONDS = 5
"""How far the clock of the tokens' issuer may differ from ours."""

REMEMBERED_TOKENS = 4096
LONGEST_REMEMBERED = 4096
"""The longest header to remember, in characters, so that valid tokens in long headers cannot fill the
memory."""

_LONGEST_USER_ID = LONGEST_ID
_LONGEST_ROLES = 4096


class Caller(msgspec.Struct, frozen=True):
    """A caller. ``user_id`` is the user of a verified token. ``actor`` is stored in the events."""

    tenant: str
    actor: str
    user_id: str | None = None
    roles: frozenset[str] = frozenset()

    @property
    def person(self) -> str | None:
        """The person who calls, or None if a gateway sends no user."""
        return None if self.actor == ANONYMOUS else self.actor


class Operators:
    """Who may do what is otherwise reserved for others: callers with certain roles, and a gateway that sends
    no user."""

    def __init__(self, roles: Iterable[str]) -> None:
        self._roles = frozenset(roles)

    def has(self, caller: Caller) -> bool:
        """Return whether a caller is an operator."""
        return caller.person is None or not self._roles.isdisjoint(caller.roles)


class Publishers:
    """Who may publish and retire definitions: every caller, or if there are ``roles``, only callers with one
    of them or with one of the ``operators'`` roles, and a gateway that sends no user.
    """

    def __init__(self, roles: Sequence[str], operators: Iterable[str]) -> None:
        self._roles = roles
        self._named = Operators({*roles, *operators})

    def require(self, caller: Caller) -> None:
        """Check that a caller may publish and retire definitions.

        Raises:
            NotAllowed: the caller may not.
        """
        if self._roles and not self._named.has(caller):
            raise NotAllowed(f"only these roles may publish and retire definitions: {', '.join(self._roles)}")


def person_of(caller: Caller) -> str:
    """Return the person who calls.

    Raises:
        ApiError: 400, the gateway sends no user.
    """
    if caller.person is None:
        raise Invalid([Fault("X-User-ID", "is required: it says who does this")])
    return caller.person


class Authenticator(Protocol):
    """Authenticates requests."""

    def __call__(self, headers: Headers) -> Caller:
        """Return the caller that a request's headers identify.

        Raises:
            ApiError: 400, 401 or 403, as the contract says.
        """
        ...


class JwtAuthenticator:
    """HS256 tokens of the platform (wire contract, section 3).

    The last ``REMEMBERED_TOKENS`` verified tokens are remembered until they expire, because verifying takes
    longer than the rest of a short request.
    """

    def __init__(self, secret: str, issuer: str) -> None:
        self._secret = secret
        self._issuer = issuer
        self._verified = lru_cache(REMEMBERED_TOKENS)(self._verify)

    def __call__(self, headers: Headers) -> Caller:
        """Return the token's caller. ``X-Tenant-ID`` must be the token's tenant."""
        authorization = headers.get("authorization", "")
        remembered = len(authorization) <= LONGEST_REMEMBERED
        caller, expires_at = (self._verified if remembered else self._verify)(authorization)
        if expires_at <= time.time() - CLOCK_LEEWAY_SECONDS:
            raise _expired()
        if tenant_of(headers) != caller.tenant:
            raise ApiError(403, "TENANT_MISMATCH", "the token belongs to another tenant than X-Tenant-ID")
        return caller

    def _verify(self, authorization: str) -> tuple[Caller, int]:
        """Return a token's caller, and when it expires in seconds since 1970. Refusals are not remembered."""
        claims = self._claims(authorization)
        tenant, subject = claims.get("tenantId"), claims.get("sub")
        if claims.get("type") != "access":
            raise _unauthorized("the token is not an access token")
        if not is_uuid(tenant) or not _is_user_id(subject):
            raise _unauthorized("the token names no tenant or no user")
        return Caller(str(tenant).lower(), str(subject), str(subject), _roles(claims.get("roles"))), int(
            claims["exp"]
        )

    def _claims(self, authorization: str) -> dict[str, Any]:
        token = bearer_token(authorization)
        if token is None:
            raise _unauthorized("a bearer token is required", error=None)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                issuer=self._issuer,
                leeway=CLOCK_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "sub"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise _expired() from None
        except jwt.PyJWTError:
            raise _unauthorized("the token is not valid") from None
        return claims


class GatewayAuthenticator:
    """Trusts a gateway that has checked the token, and sends ``X-User-ID`` and ``X-User-Roles``."""

    def __call__(self, headers: Headers) -> Caller:
        """Return the caller that the gateway names."""
        user, roles = _told(headers, "X-User-ID"), _told(headers, "X-User-Roles")
        if user is not None and not _is_user_id(user):
            raise Invalid(
                [
                    Fault(
                        "X-User-ID",
                        f"must have 1 to {_LONGEST_USER_ID} characters, no control characters, and not begin"
                        f" with {', '.join(NOT_PERSONS)}",
                    )
                ]
            )
        if roles is not None and len(roles) > _LONGEST_ROLES:
            raise Invalid([Fault("X-User-Roles", f"must have at most {_LONGEST_ROLES} characters")])
        return Caller(tenant_of(headers), user or ANONYMOUS, roles=_roles((roles or "").split(",")))


def bearer_token(authorization: str) -> str | None:
    """Return the token in an ``Authorization`` header, or None if the scheme is not ``Bearer`` in any
    case."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def tenant_of(headers: Headers) -> str:
    """Return the tenant in a request's ``X-Tenant-ID``.

    Raises:
        ApiError: 400, there is none, more than one, or it is not a UUID.
    """
    given = headers.getlist("x-tenant-id")
    if len(given) > 1:
        raise ApiError(400, "TENANT_INVALID", "X-Tenant-ID is given more than once")
    tenant = "".join(given).strip()
    if not tenant:
        raise ApiError(400, "TENANT_REQUIRED", "X-Tenant-ID is required")
    if not is_uuid(tenant):
        raise ApiError(400, "TENANT_INVALID", "X-Tenant-ID must be a UUID")
    return tenant.lower()


def _told(headers: Headers, name: str) -> str | None:
    """Return the value of a header of the gateway, if any. Headers are decoded as Latin-1, but meant as
    UTF-8.

    Raises:
        ApiError: 400, the header is given twice, or is not UTF-8.
    """
    given = headers.getlist(name)
    if not given:
        return None
    if len(given) > 1:
        raise Invalid([Fault(name, "must be given once")])
    try:
        return given[0].encode("latin-1").decode().strip()
    except UnicodeError:
        raise Invalid([Fault(name, "must be UTF-8")]) from None


def _is_user_id(text: object) -> bool:
    """Return whether a text may be a person's ID. The service's own names may not."""
    return is_id(text) and str(text).isprintable() and is_person(str(text))


def _roles(given: object) -> frozenset[str]:
    """Return the roles in a list. Values that are not strings are ignored."""
    each = given if isinstance(given, list) else []
    return frozenset(role.strip() for role in each if isinstance(role, str) and role.strip())


def _expired() -> ApiError:
    return _unauthorized("the token has expired")


def _unauthorized(message: str, error: str | None = "invalid_token") -> ApiError:
    challenge = 'Bearer realm="workflow-orchestrator"' + (f', error="{error}"' if error else "")
    return ApiError(401, "UNAUTHORIZED", message, headers={"WWW-Authenticate": challenge})
