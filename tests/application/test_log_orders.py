"""Between one order and one a tenant: each tenant's own stays, and so does what positions mean."""

from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.audit.chain import tenant_of
from application.event_log import Place, number_of, position_of
from application.log_copy import CannotCopy, Entry, FollowerPosition, copy
from application.log_orders import InOneOrder, InTenantsOrders, TenantDigests
from tests.application.test_log_copy import MemoryLog, Passes

pytestmark = pytest.mark.anyio

MARK = FollowerPosition("scheduler", "nightly", "2026-03-01T00:00:00.000Z 0 2 * * * Europe/Berlin")


def events(tenants: str, ids: Sequence[int] = ()) -> list[Entry]:
    """An event a letter, of the tenant with that name; ``ids`` have gaps."""
    return [
        Entry(id, f"{tenant}/job/j", tenants[:number].count(tenant) + 1, "fired", f"{number}".encode())
        for number, (id, tenant) in enumerate(zip(ids or range(1, len(tenants) + 1), tenants, strict=True))
    ]


def behind(follower: str, entry: Entry, partition: str = "log") -> FollowerPosition:
    return FollowerPosition(follower, partition, position_of(entry.id, entry.stream, entry.version))


def one_order(entries: Sequence[Entry], *positions: FollowerPosition) -> MemoryLog:
    log = MemoryLog(entries)
    log.kept_positions = list(positions)
    return log


class TenantsLog(MemoryLog):
    """A log of an order a tenant."""

    async def ends(self) -> Mapping[str, Place]:
        return {tenant_of(each.stream): Place(each.id, each.stream, each.version) for each in self.entries}

    async def events_between(
        self, tenant: str, after: int, until: int
    ) -> AsyncGenerator[Sequence[Entry], None]:
        of = [each for each in self.entries if tenant_of(each.stream) == tenant and after < each.id <= until]
        for start in range(0, len(of), self.batch):
            yield of[start : start + self.batch]


async def in_tenants_orders(log: MemoryLog) -> TenantsLog:
    """What a store of an order a tenant holds after a copy."""
    target = TenantsLog()
    await copy(InTenantsOrders(log), target, Passes(), TenantDigests)
    return target


async def in_one_order(log: TenantsLog, first: str = "outbox") -> MemoryLog:
    target = MemoryLog()
    await copy(InOneOrder(log, first=first), target, Passes(), TenantDigests)
    return target


def told(positions: Sequence[FollowerPosition]) -> dict[tuple[str, str], int]:
    return {(each.follower, each.partition): number_of(each.position) for each in positions}


async def test_each_tenants_events_get_the_numbers_of_its_own_order() -> None:
    target = await in_tenants_orders(one_order(events("abbab", ids=(3, 4, 7, 8, 12))))
    assert [(tenant_of(each.stream), each.id) for each in target.entries] == [
        ("a", 1), ("b", 1), ("b", 2), ("a", 2), ("b", 3),
    ]  # fmt: skip


async def test_a_position_becomes_in_each_tenants_order_that_of_its_last_event_up_to_there() -> None:
    entries = events("abbabc")
    source = one_order(entries, behind("outbox", entries[2]), behind("runs", entries[5]), MARK)
    target = await in_tenants_orders(source)
    assert target.kept_positions == [
        behind("outbox", events("a")[0], "a"),
        FollowerPosition("outbox", "b", position_of(2, "b/job/j", 2)),
        FollowerPosition("runs", "a", position_of(2, "a/job/j", 2)),
        FollowerPosition("runs", "b", position_of(3, "b/job/j", 3)),
        FollowerPosition("runs", "c", position_of(1, "c/job/j", 1)),
        MARK,
    ]


@pytest.mark.parametrize("position", ["log-2-0123456789ab", "log-9-0123456789ab"])
async def test_a_position_of_another_log_is_told_instead_of_guessed(position: str) -> None:
    source = one_order(events("abb"), FollowerPosition("outbox", "log", position))
    with pytest.raises(CannotCopy, match=f"the position {position} of outbox is not of this log"):
        await in_tenants_orders(source)
    theirs = TenantsLog(events("bbb"))
    theirs.kept_positions = [FollowerPosition("outbox", "b", position)]
    with pytest.raises(CannotCopy, match=f"the position {position} of outbox is not of this log"):
        await in_one_order(theirs)


@given(
    tenants=st.text("abcd", max_size=20),
    outbox=st.integers(0, 20),
    others=st.lists(st.integers(0, 20), max_size=3),
    back=st.lists(st.integers(0, 5), min_size=4, max_size=4),
)
async def test_there_and_back_every_tenants_order_stays_and_no_follower_skips_an_event(
    tenants: str, outbox: int, others: list[int], back: list[int]
) -> None:
    """``back`` is how far the outbox is behind in each tenant besides."""
    entries = events(tenants)
    cuts = {"outbox": outbox, **{f"other-{number}": cut for number, cut in enumerate(others)}}
    cuts = {name: min(cut, len(entries)) for name, cut in cuts.items()}
    there = await in_tenants_orders(
        one_order(entries, *(behind(name, entries[cut - 1]) for name, cut in sorted(cuts.items()) if cut))
    )
    handled = {name: _handled(there, name) for name in cuts}
    assert handled == {name: {_name(each) for each in entries[:cut]} for name, cut in cuts.items()}

    for tenant, less in zip("abcd", back, strict=True):
        _put_back(there, tenant, less)
    handled["outbox"] = _handled(there, "outbox")
    home = await in_one_order(there)
    assert [each.id for each in home.entries] == list(range(1, len(entries) + 1))
    for tenant in set(tenants):
        assert [_name(each) for each in home.entries if each.stream[0] == tenant] == [
            _name(each) for each in entries if each.stream[0] == tenant
        ]
    positions = {each.follower: number_of(each.position) for each in home.kept_positions}
    for name in cuts:
        passed = {_name(each) for each in home.entries[: positions.get(name, 0)]}
        assert passed <= handled[name], "it would skip what it has not handled"
    assert {_name(each) for each in home.entries[: positions.get("outbox", 0)]} == handled["outbox"]


def _name(entry: Entry) -> tuple[str, int]:
    return entry.stream, entry.version


def _handled(log: TenantsLog, follower: str) -> set[tuple[str, int]]:
    positions = {
        each.partition: number_of(each.position) for each in log.kept_positions if each.follower == follower
    }
    return {_name(each) for each in log.entries if each.id <= positions.get(each.stream[0], 0)}


def _put_back(log: TenantsLog, tenant: str, less: int) -> None:
    for number, each in enumerate(log.kept_positions):
        if (each.follower, each.partition) == ("outbox", tenant):
            entry_id = number_of(each.position) - less
            found = [one for one in log.entries if one.stream[0] == tenant and one.id == entry_id]
            log.kept_positions[number : number + 1] = [behind("outbox", one, tenant) for one in found]
            return


async def test_what_the_outbox_has_published_is_not_published_again_whoever_else_is_behind() -> None:
    log = TenantsLog([*events("aa"), *events("bb")])
    log.kept_positions = [
        behind("outbox", log.entries[3], "b"),
        behind("runs", log.entries[1], "a"),
        behind("tasks", log.entries[1], "a"),
    ]
    home = await in_one_order(log)
    assert [each.stream[0] for each in home.entries] == ["b", "b", "a", "a"]
    assert told(home.kept_positions) == {("outbox", "log"): 2}, "the others begin anew, and find it done"


async def test_with_everybody_at_the_end_nobody_handles_anything_again() -> None:
    entries = events("abcab")
    there = await in_tenants_orders(
        one_order(entries, *(behind(name, entries[-1]) for name in ("outbox", "runs")))
    )
    home = await in_one_order(there)
    assert told(home.kept_positions) == {("outbox", "log"): 5, ("runs", "log"): 5}


async def test_a_tenant_whose_events_did_not_arrive_as_they_were_is_named() -> None:
    entries = events("abcab")
    target = TenantsLog(tamper=lambda given: [each for each in given if each.stream[0] != "b"])
    with pytest.raises(
        CannotCopy, match=r"5 events of 3 tenants, sha256 .* the target held 3 .*, unlike in b$"
    ):
        await copy(InTenantsOrders(one_order(entries)), target, Passes(), TenantDigests)


async def test_the_proof_is_of_each_tenants_order_and_of_no_other() -> None:
    proofs = []
    for tenants in (events("aabb"), [*events("aabb")[2:], *events("aabb")[:2]], events("aabb")[::-1]):
        digests = TenantDigests()
        digests.add(tenants)
        proofs.append(digests.digest())
    assert proofs[0] == proofs[1] != proofs[2]
    assert {name: each.count for name, each in proofs[0].tenants.items()} == {"a": 2, "b": 2}
