"""Structured logs: JSON lines, or a readable form on a terminal."""

import atexit
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import msgspec
import structlog

from config.log_destination import destination_of
from config.log_lines import Lines
from config.sections import Logging

_NOISY = (
    "aio_pika",
    "aiormq",
    "apscheduler",
    "uvicorn",
    "eventsourcing",
    "psycopg",
    "asyncio",
    "faststream",
    "azure",
)


def configure_logs(settings: Logging, context: Mapping[str, str]) -> None:
    """Set structlog up, and include what libraries log from WARNING on. Logs go to standard error."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    readable = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shaped: list[structlog.typing.Processor] = []
    as_text: structlog.typing.Processor = structlog.dev.ConsoleRenderer(pad_event_to=24)
    rendered: list[structlog.typing.Processor] = [as_text, _encoded]
    if not readable:
        shaped = [structlog.processors.format_exc_info, _in_order(context)]
        as_text = structlog.processors.JSONRenderer(serializer=_json)
        rendered = [_json_bytes]
    lines = Lines(destination_of(sys.stderr))
    atexit.register(lines.flush)
    structlog.configure(
        processors=[*before, *shaped, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lines,
        cache_logger_on_first_use=False,
    )
    handler = _OfLibraries(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shaped, as_text],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _OfLibraries(logging.Handler):
    """Writes what libraries log among our own lines."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and all before it."""
        try:
            self._lines.warning(_encoded(None, "", self.format(record)))
        except Exception:
            self.handleError(record)


def lost_lines() -> int:
    """Return how many lines of this process's log could not be written."""
    lines = structlog.get_config()["logger_factory"]
    return lines.lost if isinstance(lines, Lines) else 0


def _in_order(context: Mapping[str, str]) -> structlog.typing.Processor:
    """Put first what a reader looks for first, then what every line of this process has."""

    def reorder(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
        return {**first, **context, **event}

    return reorder


def _encoded(_: Any, __: str, line: Any) -> bytes:
    return str(line).encode(errors="backslashreplace")


def _json_bytes(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    """Write JSON without making a text in between, because each request has a line."""
    return _encode(event)


def _json(value: Any, **_: Any) -> str:
    return _encode(value).decode()


_encode = msgspec.json.Encoder(enc_hook=str).encode
