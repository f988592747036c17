"""The library's settings and connections for an event log in PostgreSQL."""

from eventsourcing.postgres import PostgresFactory
from eventsourcing.utils import Environment, EnvType, get_topic

from infrastructure.postgres import recorder
from infrastructure.postgres.conninfo import conninfo

_CONNINFO = "POSTGRES_CONNINFO"


class LogFactory(PostgresFactory):
    """The library's factory, but it connects by a URL, which may hold parameters that the library does not
    know (``sslmode``)."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        pool = self.datastore.pool
        pool.conninfo = self.env[_CONNINFO]
        pool.kwargs = {"row_factory": pool.kwargs["row_factory"]}  # type: ignore[index]


def postgres_log_settings(url: str, *, connections: int) -> dict[str, str]:
    """Return the library's settings for our recorder, over tables that the migrations have created.

    The library's database functions stay off: they take no lock, so followers would miss events.
    """
    return {
        "PERSISTENCE_MODULE": get_topic(LogFactory),
        "APPLICATION_RECORDER_TOPIC": recorder.TOPIC,
        "CREATE_TABLE": "n",
        _CONNINFO: conninfo(url),
        **dict.fromkeys(("POSTGRES_DBNAME", "POSTGRES_HOST", "POSTGRES_USER", "POSTGRES_PASSWORD"), ""),
        "POSTGRES_POOL_SIZE": str(connections),
        "POSTGRES_MAX_OVERFLOW": "0",
        "POSTGRES_CONNECT_TIMEOUT": "1",
    }
