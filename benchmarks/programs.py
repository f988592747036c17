"""The programs that `python -m benchmarks` runs, and one run of one of them."""

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
"""Modules of this package. A new one is a module and a line here."""


@dataclass
class Outcome:
    """What became of a program."""

    program: str
    seconds: float
    measurements: list[Measurement] = field(default_factory=list)
    error: str | None = None
    """The last line of its failure; the whole of it was printed."""


def run_program(name: str, options: Options) -> Outcome:
    """Run one; a failure is an outcome too, because the others shall go on."""
    began = time.monotonic()
    try:
        program: Any = importlib.import_module(f"benchmarks.{name}")
        measurements = program.run(options)
    except (Exception, SystemExit, pytest.skip.Exception, pytest.fail.Exception) as error:
        traceback.print_exc()
        return Outcome(name, time.monotonic() - began, error=f"{type(error).__name__}: {error}")
    return Outcome(name, time.monotonic() - began, measurements)
