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
"""The class of what exceeds a limit of the server, such as too long for an index (PostgreSQL, appendix A).
psycopg counts it among the operational ones, and it is the same the next time."""


def may_pass(error: Exception) -> bool:
    """Whether one of :data:`AWAY` is worth another try."""
    return not (isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(_LIMITS))
