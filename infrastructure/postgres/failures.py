"""Which of PostgreSQL's errors mean that it cannot be used now."""

import psycopg
from psycopg_pool import PoolTimeout

AWAY = (
    PoolTimeout,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    psycopg.errors.InsufficientPrivilege,
)

_LIMITS = "54"
"""The error class for exceeding a limit of the server, such as a value too long for an index (PostgreSQL,
appendix A). psycopg counts it among the operational errors, but a retry fails again."""


def may_pass(error: Exception) -> bool:
    """Return whether one of :data:`AWAY` is worth another try."""
    return not (isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(_LIMITS))
