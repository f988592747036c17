"""The programs that `python -m benchmarks` runs."""

import importlib
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.harness import Measurement, Options

PROGRAMS = (
    "get_approval",
    "approve",
    "consume",
    "publish",
    "workflows",
    "latency",
    "rebuild",
    "start",
    "memory",
    "growth",
)
"""Modules of this package. A new program needs a module and a line here."""


@dataclass
class Outcome:
    """The outcome of a program."""

    program: str
    seconds: float
    measurements: list[Measurement] = field(default_factory=list)
    error: str | None = None
    """The last line of its error, if it has failed. The whole error was printed."""


def run_program(name: str, options: Options) -> Outcome:
    """Run a program. An error is returned as its outcome, so that the others continue."""
    began = time.monotonic()
    try:
        program: Any = importlib.import_module(f"benchmarks.{name}")
        measurements = program.run(options)
    except (Exception, SystemExit, pytest.skip.Exception, pytest.fail.Exception) as error:
        traceback.print_exc()
        return Outcome(name, time.monotonic() - began, error=f"{type(error).__name__}: {error}")
    return Outcome(name, time.monotonic() - began, measurements)
