"""Programs that run on node, each in a folder with its pinned packages, which are installed once."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.services import missing


def node_for(folder: Path, what: str) -> str:
    """Return the path of node, after installing the packages of ``folder``. Concurrent calls install them
    only once. ``what`` is the program that needs them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing(f"{what} (node and npm)")
    with (folder / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules" / ".package-lock.json").exists():
            command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
            try:
                subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
            except subprocess.SubprocessError as error:
                missing(f"{what} (its packages: {error})")
    return node
