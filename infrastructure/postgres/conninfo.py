"""What every connection of ours begins with."""

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_OURS = {
    "application_name": "workflow-orchestrator",
    "connect_timeout": "2",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""A name to be found under in ``pg_stat_activity``, and how soon a silent network is given up."""


def conninfo(url: str) -> str:
    """A URL's connection parameters, and ours where it has none.

    Raises:
        psycopg.ProgrammingError: the URL holds what PostgreSQL does not know.
    """
    said = conninfo_to_dict(url)
    return make_conninfo(url, **{key: value for key, value in _OURS.items() if key not in said})
