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
    """The library's factory for the one recorder that we have."""

    _recorder: CosmosLogRecorder | None = None

    def application_recorder(self) -> CosmosLogRecorder:
        """The recorder, over a container that is made if it is absent."""
        place = [self.env[name] for name in (_ENDPOINT, _KEY, _DATABASE, _CONTAINER)]
        container = LogContainer(*place, segment_bytes=int(self.env[_SEGMENT_BYTES]))
        self._recorder = CosmosLogRecorder(container)
        return self._recorder

    def aggregate_recorder(self, purpose: str = "events") -> Any:
        """There are no snapshots."""
        raise NotSupportedError("there are no snapshots")

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> Any:
        """Followers keep their positions otherwise."""
        raise NotSupportedError("there is no tracking")

    def process_recorder(self) -> Any:
        """Followers keep their positions otherwise."""
        raise NotSupportedError("there is no tracking")

    def close(self) -> None:
        """Give every connection back."""
        if self._recorder is not None:
            self._recorder.close()


def cosmos_log_settings(
    endpoint: str, key: str, *, database: str, container: str, segment_bytes: int = SEGMENT_BYTES
) -> dict[str, str]:
    """Settings for our recorder; a segment of a tenant's log is closed with ``segment_bytes`` in it."""
    return {
        "PERSISTENCE_MODULE": get_topic(LogFactory),
        _ENDPOINT: endpoint,
        _KEY: key,
        _DATABASE: database,
        _CONTAINER: container,
        _SEGMENT_BYTES: str(segment_bytes),
    }
