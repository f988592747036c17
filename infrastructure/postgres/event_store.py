"""The library's settings for an event log in PostgreSQL."""

from psycopg.conninfo import conninfo_to_dict


def postgres_log_settings(url: str) -> dict[str, str]:
    """Settings for the stock recorder, whose table lock keeps ids and commits in one order.

    The library's database functions stay off: without the lock, followers miss events.
    """
    parts = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts.get("dbname", "postgres")),
        "POSTGRES_HOST": str(parts.get("host", "127.0.0.1")),
        "POSTGRES_PORT": str(parts.get("port", "5432")),
        "POSTGRES_USER": str(parts.get("user", "postgres")),
        "POSTGRES_PASSWORD": str(parts.get("password", "")),
        "POSTGRES_POOL_SIZE": "16",
        "POSTGRES_MAX_OVERFLOW": "0",
        "POSTGRES_CONNECT_TIMEOUT": "1",
        "POSTGRES_LOCK_TIMEOUT": "1",
        "POSTGRES_PRE_PING": "y",
    }
