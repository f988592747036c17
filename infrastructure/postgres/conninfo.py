"""What every connection of ours begins with."""

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
"""A name to be found under in ``pg_stat_activity``, how soon a silent network is given up, and no standby: it
takes nothing, and of what a lagging one does not have it would say that it is none of this log's. A server
from PostgreSQL 14 on tells what it is as it greets, so that nothing more is asked."""


def conninfo(url: str) -> str:
    """A URL's connection parameters, and ours where it has none.

    Raises:
        psycopg.ProgrammingError: the URL holds what PostgreSQL does not know.
    """
    said = conninfo_to_dict(url)
    return make_conninfo(url, **{key: value for key, value in _OURS.items() if key not in said})
