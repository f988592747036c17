"""The chain: what is hashed never changes, and it does not matter how many events are taken at a time."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from application.audit.chain import Head, genesis_of, leaf_of, linked
from application.audit.ports import Indexed, microseconds
from application.audit.rows import noted, rows_after
from application.log_copy import Entry
from tests.builders import CAUSE, CORRELATION, NOW, OTHER_TENANT, TENANT, USER

STATE = (
    b'{"v":1,"at":"2026-11-22T22:10:05.123000Z","meta":{"tenant":"7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10",'
    b'"actor":"5b9d1c1e-2f0a-4b8e-8d43-0d6b7f2c4a11","correlation_id":"0a1b2c3d-0000-4000-8000-00000000c0de",'
    b'"command_id":"c","causation_id":"0a1b2c3d-0000-4000-8000-0000000ca05e"},"data":{"what":"ever"}}'
)


def test_the_hashes_of_the_first_release_are_those_of_every_release() -> None:
    """Whoever has an export has these hashes. If this fails the format has changed: it needs another name."""
    stream = f"{TENANT}/approval/a-1"
    assert genesis_of(TENANT).hex() == "f48b3a69fba0c612be5b2bd5ed2f1d762e25c6c50e26f7b70a6242cb7e98b705"
    leaf = leaf_of(stream, 1, "approval.requested", STATE)
    assert leaf.hex() == "68090800a887ef40d0faa8585b7a3f3fbda27f4478788105910e7c7e92f0d67b"
    assert (
        linked(genesis_of(TENANT), leaf).hex()
        == "9d45f9ea1b213143d775ef80310ef05da63ea091e841627177cc6338e1b38b3b"
    )


def test_what_is_kept_of_an_event_is_what_its_stored_bytes_say() -> None:
    event = noted(Entry(7, f"{TENANT}/approval/a-1", 1, "approval.requested", STATE))
    assert (event.actor, event.correlation_id, event.causation_id) == (USER, CORRELATION, CAUSE)
    assert event.at == microseconds(NOW)


@given(st.binary(max_size=60))
def test_whatever_the_bytes_are_an_event_is_chained(state: bytes) -> None:
    (row,) = rows_after({}, [noted(Entry(1, f"{TENANT}/x/1", 1, "t", state))])
    assert row.number == 1
    assert row.leaf == leaf_of(f"{TENANT}/x/1", 1, "t", state)


@given(
    st.tuples(st.text(max_size=5), st.integers(1, 300), st.text(max_size=5), st.binary(max_size=5)),
    st.tuples(st.text(max_size=5), st.integers(1, 300), st.text(max_size=5), st.binary(max_size=5)),
)
def test_two_events_have_one_hash_only_if_they_are_the_same(
    one: tuple[str, int, str, bytes], other: tuple[str, int, str, bytes]
) -> None:
    assert (leaf_of(*one) == leaf_of(*other)) == (one == other)


entries = st.lists(
    st.tuples(st.sampled_from([TENANT, OTHER_TENANT, "t"]), st.integers(1, 3), st.binary(max_size=8)),
    max_size=40,
).map(
    lambda given: [
        Entry(position, f"{tenant}/thing/{number}", position, "happened", state)
        for position, (tenant, number, state) in enumerate(given, start=1)
    ]
)


def rows_in_batches(events: Sequence[Entry], borders: Sequence[int]) -> list[Indexed]:
    """The rows, as batches make them that begin at those borders."""
    heads: dict[str, Head] = {}
    rows: list[Indexed] = []
    places = [0, *sorted(border % (len(events) + 1) for border in borders), len(events)]
    for begin, end in pairwise(places):
        rows += rows_after(heads, map(noted, events[begin:end]))
    return rows


@given(entries, st.lists(st.integers(0, 100), max_size=8))
def test_the_borders_of_batches_leave_no_trace(events: list[Entry], borders: list[int]) -> None:
    assert rows_in_batches(events, borders) == rows_in_batches(events, ())


@given(entries)
def test_each_tenant_has_a_chain_of_its_own(events: list[Entry]) -> None:
    alone = [event for event in events if event.stream.startswith(TENANT)]
    among_all = [row for row in rows_in_batches(events, ()) if row.tenant == TENANT]
    assert [row.chain for row in rows_in_batches(alone, ())] == [row.chain for row in among_all]
    assert [row.number for row in among_all] == list(range(1, len(alone) + 1))
