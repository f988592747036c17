"""The library's settings for an event log in a SQLite file."""

from pathlib import Path

from infrastructure.sqlite import recorder


def sqlite_log_settings(path: Path) -> dict[str, str]:
    """Settings for our recorder: WAL, and synchronous FULL, which is SQLite's own default.

    A commit that was answered is on the disk.
    """
    return {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "APPLICATION_RECORDER_TOPIC": recorder.TOPIC,
        "SQLITE_DBNAME": str(path),
        "SQLITE_LOCK_TIMEOUT": "10",
    }


def followers_file(path: Path) -> Path:
    """The file of positions and timers beside a log: so they do not take turns with the appends."""
    return path.with_name(f"{path.stem}-followers.db")
