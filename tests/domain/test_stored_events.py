"""Whoever reads the log knows every event, whatever else its process has imported."""

import subprocess
import sys

from domain.event import type_registry
from tests.harness import clean_environment
from tests.samples import SAMPLES


def test_a_process_that_only_reads_knows_every_event() -> None:
    """The processes that fold a long log import no more than that; a rebuild by them met unknown events."""
    program = "import application.event_mapper; from domain.event import type_registry; print(*type_registry)"
    known = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert set(known.stdout.split()) == set(type_registry) == set(SAMPLES)
