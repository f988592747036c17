"""The machine and the versions of a run, without which its figures cannot be compared with others."""

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
    """Return processor, cores, memory and system."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory_gib:.0f} GiB",
        "system": platform.platform(),
    }


def load() -> str:
    """Return the load of the machine. Before a run, it shows whether other programs are running."""
    return " ".join(f"{each:.2f}" for each in os.getloadavg()) + " (1, 5 and 15 minutes)"


def versions() -> dict[str, str]:
    """Return the versions of Python (with its path), SQLite, the libraries, and the installed Debian
    packages."""
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
    """Return the commit of a working tree, and whether files other than results were changed since."""
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
