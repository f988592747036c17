"""A small disk that can be filled: a tmpfs of our own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = b"\0" * 65_536


class SmallDisk:
    """A file system with little room; ``fill`` takes what is left of it."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not a page free."""
        with self._ballast.open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            room = os.statvfs(self._ballast.parent)
            os.posix_fallocate(ballast.fileno(), 0, room.f_bavail * room.f_frsize)
            ballast.seek(0, os.SEEK_END)
            while True:
                ballast.write(_CHUNK)

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk | None]:
    """Mount a tmpfs on a folder. That needs root: without it there is none, which is said."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        print("THE FULL DISK IS LEFT OUT: mounting a small one needs root", file=sys.stderr)
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
