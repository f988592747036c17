"""Programs that run on node: each in a folder with its packages pinned, and installed there once."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.services import missing


def node_for(folder: Path, what: str) -> str:
    """node, once the packages of ``folder`` are installed, whoever else is about to; ``what`` needs them."""
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
