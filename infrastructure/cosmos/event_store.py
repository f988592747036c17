"""The library's settings and connections for an event log in Cosmos DB."""

from typing import Any

from eventsourcing.persistence import InfrastructureFactory, NotSupportedError
from eventsourcing.utils import get_topic

from infrastructure.cosmos.log_container import SEGMENT_BYTES, LogContainer
from infrastructure.cosmos.recorder import CosmosLogRecorder

_ENDPOINT = "COSMOS_LOG_ENDPOINT"
_KEY = "COSMOS_LOG_KEY"
_DATABASE = "COSMOS_LOG_DATABASE"
_CONTAINER = "COSMOS_LOG_CONTAINER"
_SEGMENT_BYTES = "COSMOS_LOG_SEGMENT_BYTES"


class LogFactory(InfrastructureFactory[Any]):
    """The library's factory, for the one recorder that we have."""

    _recorder: CosmosLogRecorder | None = None

    def application_recorder(self) -> CosmosLogRecorder:
        """Return the recorder. Its container is created if it is absent."""
        place = [self.env[name] for name in (_ENDPOINT, _KEY, _DATABASE, _CONTAINER)]
        container = LogContainer(*place, segment_bytes=int(self.env[_SEGMENT_BYTES]))
        self._recorder = CosmosLogRecorder(container)
        return self._recorder

    def aggregate_recorder(self, purpose: str = "events") -> Any:
        """Refuse: there is no recorder of snapshots."""
        raise NotSupportedError("there are no snapshots")

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> Any:
        """Refuse: followers keep their positions elsewhere."""
        raise NotSupportedError("there is no tracking")

    def process_recorder(self) -> Any:
        """Refuse: followers keep their positions elsewhere."""
        raise NotSupportedError("there is no tracking")

    def close(self) -> None:
        """Close all connections."""
        if self._recorder is not None:
            self._recorder.close()


def cosmos_log_settings(
    endpoint: str, key: str, *, database: str, container: str, segment_bytes: int = SEGMENT_BYTES
) -> dict[str, str]:
    """Return the library's settings for our recorder. A segment of a tenant's log is closed when it holds
    ``segment_bytes``."""
    return {
        "PERSISTENCE_MODULE": get_topic(LogFactory),
        _ENDPOINT: endpoint,
        _KEY: key,
        _DATABASE: database,
        _CONTAINER: container,
        _SEGMENT_BYTES: str(segment_bytes),
    }
