"""Runs a reference program of this package in its own process, as the service is."""

import subprocess
import sys

from benchmarks.harness import HERE
from benchmarks.service import environment


def figure_of(module: str, *arguments: str) -> float:
    """Return the figure that a reference prints as its last line.

    Raises:
        RuntimeError: it failed. The message has its output.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=HERE,
        env=environment(HERE),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module} failed:\n{done.stdout}{done.stderr}")
    return float(done.stdout.split()[-1])
