"""The parameters with which each of our connections begins."""

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_OURS = {
    "application_name": "workflow-orchestrator",
    "connect_timeout": "2",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "target_session_attrs": "read-write",
}
"""The name shows in ``pg_stat_activity``. A silent network is given up soon. No connection goes to a standby:
it takes no writes, and if it lags, it would say of events it lacks that they are not in this log. From
PostgreSQL 14 on, a server says as it greets whether it is one, so no further query is needed."""


def conninfo(url: str) -> str:
    """Return a URL's connection parameters, with ours where it has none.

    Raises:
        psycopg.ProgrammingError: the URL holds a parameter that PostgreSQL does not know.
    """
    said = conninfo_to_dict(url)
    return make_conninfo(url, **{key: value for key, value in _OURS.items() if key not in said})
