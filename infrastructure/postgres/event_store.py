"""The library's settings for an event log in PostgreSQL."""

from psycopg.conninfo import conninfo_to_dict

from infrastructure.postgres import recorder


def postgres_log_settings(url: str) -> dict[str, str]:
    """Settings for the library's recorder, whose table lock keeps ids and commits in one order.

    The library's database functions stay off: without the lock, followers miss events.
    """
    parts = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "APPLICATION_RECORDER_TOPIC": recorder.TOPIC,
        "POSTGRES_DBNAME": str(parts.get("dbname", "postgres")),
        "POSTGRES_HOST": str(parts.get("host", "127.0.0.1")),
        "POSTGRES_PORT": str(parts.get("port", "5432")),
        "POSTGRES_USER": str(parts.get("user", "postgres")),
        "POSTGRES_PASSWORD": str(parts.get("password", "")),
        "POSTGRES_POOL_SIZE": "16",
        "POSTGRES_MAX_OVERFLOW": "0",
        "POSTGRES_CONNECT_TIMEOUT": "1",
        "POSTGRES_LOCK_TIMEOUT": "1",
    }
