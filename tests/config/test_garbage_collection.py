"""What is here to stay is not looked through by the garbage collector."""

import gc
from collections.abc import Iterator

import pytest

from config.garbage_collection import leave_alone_what_is_here_to_stay


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_a_service_that_has_been_built_is_left_alone_and_what_comes_later_is_collected() -> None:
    assert gc.get_freeze_count() == 0
    leave_alone_what_is_here_to_stay()
    assert gc.get_freeze_count() > 10_000, "modules and what they hold"
    assert len(gc.get_objects()) < 10_000
    ring: list[object] = []
    ring.append(ring)
    del ring
    assert gc.isenabled()
    assert gc.collect() >= 1
