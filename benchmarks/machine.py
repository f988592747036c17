"""Where and with what it was measured: without that a figure cannot be compared with anything."""

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

LIBRARIES = (
    "eventsourcing",
    "faststream",
    "aio-pika",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "msgspec",
    "pyjwt",
    "psycopg",
    "pydantic",
)
_ALL_BUT_RESULTS = ("--", ".", ":(exclude)benchmarks/results")
PACKAGES = ("rabbitmq-server", "postgresql-15", "wrk")


def machine() -> dict[str, str]:
    """Processor, cores, memory and system."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory_gib:.0f} GiB",
        "system": platform.platform(),
    }


def load() -> str:
    """How busy the machine is: taken before a run, it tells whether that had the machine for itself."""
    return " ".join(f"{each:.2f}" for each in os.getloadavg()) + " (1, 5 and 15 minutes)"


def versions() -> dict[str, str]:
    """Of Python and where it is, the libraries, SQLite, and of the Debian packages that are installed."""
    found = {
        "python": f"{platform.python_version()} of {sys.base_prefix}",
        "sqlite": sqlite3.sqlite_version,
    }
    found |= {name: version(name) for name in LIBRARIES}
    if shutil.which("dpkg-query"):
        for name in PACKAGES:
            done = _output("dpkg-query", "--show", "--showformat=${Version}", name)
            if done:
                found[name] = done
    return found


def commit(root: Path) -> str:
    """The commit of a working tree, and whether more than results has been changed since."""
    changed = (
        " with changes"
        if _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no", *_ALL_BUT_RESULTS)
        else ""
    )
    return (_output("git", "-C", str(root), "rev-parse", "--short=12", "HEAD") or "unknown") + changed


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
