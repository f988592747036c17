"""Commands that come at the same time: one look, one commit, and each has its own answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import DataError, OperationalError, StoredEvent

from application.deciders import Answer, Committed, Decider, decide_together
from application.event_log import Append, EventLog, Ids
from application.pasts import SHORT, Past, Pasts
from domain import approval
from domain.approval import BARE, Approval, ApprovalApproved, ApprovalRequested, Ballot, digest_of
from domain.errors import ApprovalNotPending, IdempotencyKeyReused, StoreUnavailable, VersionMismatch
from domain.event import Event, Metadata, Recorded
from tests.application.logs import OpenLogs, open_logs, postgres_settings, sqlite_settings
from tests.approvals import around
from tests.builders import NOW, TENANT, metadata

Decide = Callable[[Approval | None], Sequence[Event]]


def stream(name: str) -> str:
    return f"{TENANT}/approval/{name}"


DIGEST = digest_of(opportunity_id="o", amount=1, risk_score=1, payload=None, bound_to=None)


def requested(name: str) -> ApprovalRequested:
    return ApprovalRequested(approval_id=name, opportunity_id="o", risk_score=1, amount=1, requested_at=NOW)


def approved(name: str, by: str) -> ApprovalApproved:
    facts: dict[str, Any] = {"decided_at": NOW, "digest": DIGEST}
    return ApprovalApproved(approval_id=name, opportunity_id="o", decided_by=by, **facts)


def decider(
    name: str, decide: Decide, *, meta: Metadata | None = None, expected_version: int | None = None
) -> Decider:
    return Decider(stream(name), approval.evolve, decide, meta or metadata(), NOW, expected_version)


def request(name: str, **how: Any) -> Decider:
    return decider(name, lambda state: approval.request(state, requested(name), BARE, around()), **how)


def approve(name: str, by: str, **how: Any) -> Decider:
    def decide(state: Approval | None) -> Sequence[Event]:
        assert state is not None
        return approval.approve(state, Ballot(by=by), around())

    return decider(name, decide, **how)


def committed(answer: Answer) -> Committed:
    assert isinstance(answer, Committed), answer
    return answer


class Counting:
    """A recorder of which every look and every append is counted, and may be made to fail."""

    def __init__(self, log: EventLog) -> None:
        self.looks: list[list[str]] = []
        self.afters: list[int] = []
        self.appends: list[int] = []
        self.before_append: Callable[[], None] = lambda: None
        log.recorder.select_streams = self.select_streams  # type: ignore[attr-defined]
        log.recorder.append_together = self.append_together  # type: ignore[attr-defined]
        self._select = type(log.recorder).select_streams.__get__(log.recorder)  # type: ignore[attr-defined]
        self._append = type(log.recorder).append_together.__get__(log.recorder)  # type: ignore[attr-defined]

    def select_streams(self, streams: Mapping[str, int]) -> Any:
        self.looks.append(sorted(streams))
        self.afters += streams.values()
        return self._select(streams)

    def append_together(self, appends: Sequence[Append], *switches: int) -> Sequence[Ids | Exception]:
        self.appends.append(len(appends))
        before, self.before_append = self.before_append, lambda: None
        before()
        answers: Sequence[Ids | Exception] = self._append(appends, *switches)
        return answers


class DeciderCases:
    """What holds on every log."""

    @pytest.fixture
    def logs(self) -> Iterator[OpenLogs]:
        raise NotImplementedError

    @pytest.fixture
    def log(self, logs: OpenLogs) -> EventLog:
        return logs.open()

    @pytest.fixture
    def pasts(self, log: EventLog) -> Pasts:
        return Pasts(log, most=100)

    @pytest.fixture
    def counting(self, log: EventLog) -> Counting:
        return Counting(log)

    def test_many_streams_take_one_look_and_one_append(
        self, log: EventLog, pasts: Pasts, counting: Counting
    ) -> None:
        answers = decide_together(log, pasts, [request(str(number)) for number in range(20)])
        assert [committed(answer).version for answer in answers] == [1] * 20
        assert len(counting.looks) == 1
        assert counting.appends == [20]
        positions = [committed(answer).position for answer in answers]
        assert len(set(positions)) == 20
        assert log.head("log") == positions[-1]

    def test_commands_to_one_stream_are_decided_one_on_the_other(
        self, log: EventLog, pasts: Pasts, counting: Counting
    ) -> None:
        asked, ada, bob, ada_again = decide_together(
            log, pasts, [request("a"), approve("a", "ada"), approve("a", "bob"), approve("a", "ada")]
        )
        assert isinstance(bob, ApprovalNotPending)
        assert [committed(each).version for each in (asked, ada, ada_again)] == [1, 2, 2]
        assert [len(committed(each).new) for each in (asked, ada, ada_again)] == [1, 1, 0]
        assert committed(ada_again).position == committed(ada).position == log.head("log")
        assert committed(asked).position != log.head("log")
        assert counting.appends == [1]

    def test_the_same_command_twice_at_the_same_time_is_decided_once(
        self, log: EventLog, pasts: Pasts
    ) -> None:
        meta = metadata()
        first, again = decide_together(log, pasts, [request("a", meta=meta), request("a", meta=meta)])
        assert [len(committed(each).new) for each in (first, again)] == [1, 0]
        assert len(log.ours.select_streams({stream("a"): 0})) == 1

    def test_a_version_that_is_expected_counts_what_came_just_before(
        self, log: EventLog, pasts: Pasts
    ) -> None:
        decide_together(log, pasts, [request("a")])
        ada, bob = decide_together(
            log, pasts, [approve("a", "ada", expected_version=1), approve("a", "bob", expected_version=1)]
        )
        assert committed(ada).version == 2
        assert isinstance(bob, VersionMismatch)

    def test_a_rival_costs_a_fresh_decision_to_those_of_his_stream_alone(
        self, log: EventLog, pasts: Pasts, logs: OpenLogs, counting: Counting
    ) -> None:
        decide_together(log, pasts, [request("a"), request("b")])
        rival = logs.open()
        counting.before_append = lambda: _append(rival, "a", 2, approved("a", "rival"))
        counting.looks.clear()
        a, b, a_refused, nobody = decide_together(
            log, pasts, [approve("a", "ada"), approve("b", "ada"), approve("a", "bob"), approve("a", "rival")]
        )
        assert committed(b).version == 2
        assert isinstance(a, ApprovalNotPending)
        assert isinstance(a_refused, ApprovalNotPending)
        assert isinstance(a.details, Mapping)
        assert a.details["decidedBy"] == "rival"
        assert a_refused.details == a.details, "refused on the strength of what was never appended"
        assert committed(nobody).new == ()
        assert counting.looks == [[stream("a")], [stream("a")]], (
            "b was remembered, and nobody was refused there"
        )

    def test_what_is_remembered_is_not_read_again(
        self, log: EventLog, pasts: Pasts, counting: Counting
    ) -> None:
        decide_together(log, pasts, [request("a")])
        counting.looks.clear()
        (answer,) = decide_together(log, pasts, [approve("a", "ada")])
        assert committed(answer).version == 2
        assert counting.looks == []
        assert committed(answer).past.events == _stored(log, "a")

    def test_of_what_a_rival_has_gone_on_with_only_the_rest_is_read(
        self, log: EventLog, logs: OpenLogs, pasts: Pasts, counting: Counting
    ) -> None:
        decide_together(log, pasts, [request("a")])
        _append(logs.open(), "a", 2, approved("a", "rival"))
        counting.afters.clear()
        (answer,) = decide_together(log, pasts, [approve("a", "ada")])
        assert isinstance(answer, ApprovalNotPending)
        assert counting.afters == [0]

    def test_a_refusal_is_never_by_what_is_only_remembered(
        self, log: EventLog, logs: OpenLogs, pasts: Pasts
    ) -> None:
        decide_together(log, pasts, [request("a")])
        _append(logs.open(), "a", 2, approved("a", "rival"))
        ada, bob = decide_together(
            log, pasts, [approve("a", "rival"), approve("a", "bob", expected_version=2)]
        )
        assert committed(ada).new == ()
        assert committed(ada).version == 2
        assert isinstance(bob, ApprovalNotPending), "the version was the one that was expected"

    def test_a_command_that_a_rival_has_handled_is_not_handled_again(
        self, log: EventLog, logs: OpenLogs, pasts: Pasts
    ) -> None:
        decide_together(log, pasts, [request("a")])
        meta = metadata()
        rival = logs.open()
        decide_together(rival, Pasts(rival, most=100), [approve("a", "ada", meta=meta)])
        (answer,) = decide_together(log, pasts, [approve("a", "ada", meta=meta)])
        assert committed(answer).new == ()
        assert committed(answer).version == 2

    def test_a_command_that_comes_again_is_answered_as_it_was_whatever_came_after(
        self, log: EventLog, logs: OpenLogs, pasts: Pasts
    ) -> None:
        meta = metadata(request_digest="asked")
        decide_together(log, pasts, [request("a", meta=meta), approve("a", "ada")])
        rival = logs.open()
        for again in (
            decide_together(log, pasts, [request("a", meta=meta)]),
            decide_together(rival, Pasts(rival, most=100), [request("a", meta=meta)]),
        ):
            assert committed(again[0]).version == 1
            assert committed(again[0]).past.version == 2
            assert committed(again[0]).new == ()

    def test_something_else_under_the_id_of_a_command_is_refused(
        self, log: EventLog, logs: OpenLogs, pasts: Pasts
    ) -> None:
        first, other = (
            metadata(command_id="chosen", request_digest=digest) for digest in ("this", "another")
        )
        asked, at_once = decide_together(log, pasts, [request("a", meta=first), request("a", meta=other)])
        assert committed(asked).version == 1
        assert isinstance(at_once, IdempotencyKeyReused)
        rival = logs.open()
        (elsewhere,) = decide_together(rival, Pasts(rival, most=100), [request("a", meta=other)])
        assert isinstance(elsewhere, IdempotencyKeyReused)

    def test_of_two_with_one_key_who_loses_the_race_has_the_answer_of_the_winner(
        self, log: EventLog, pasts: Pasts, logs: OpenLogs, counting: Counting
    ) -> None:
        meta = metadata(request_digest="asked")
        rival = logs.open()

        def be_faster() -> None:
            decide_together(rival, Pasts(rival, most=100), [request("a", meta=meta), approve("a", "ada")])

        counting.before_append = be_faster
        (answer,) = decide_together(log, pasts, [request("a", meta=meta)])
        assert (committed(answer).new, committed(answer).version) == ((), 1)

    def test_what_the_log_has_lost_is_not_remembered(
        self, log: EventLog, pasts: Pasts, counting: Counting
    ) -> None:
        _append(log, "a", 1, requested("a"))
        lost = (_recorded("a", 1, requested("a")), _recorded("a", 2, approved("a", "bob")))
        pasts.remember(stream("a"), Past().then(lost, approval.evolve))
        (answer,) = decide_together(log, pasts, [approve("a", "ada")])
        assert committed(answer).version == 2
        assert counting.afters == [1, 0]

    def test_what_was_not_appended_is_not_remembered(
        self, log: EventLog, pasts: Pasts, counting: Counting
    ) -> None:
        decide_together(log, pasts, [request("a")])

        def away() -> None:
            raise OperationalError("gone")

        counting.before_append = away
        (lost,) = decide_together(log, pasts, [approve("a", "ada")])
        assert isinstance(lost, StoreUnavailable)
        (answer,) = decide_together(log, pasts, [approve("a", "bob")])
        assert committed(answer).version == 2
        assert (pasts.remembered(stream("a")) or Past()).events == committed(answer).past.events

    def test_a_long_stream_is_remembered_without_its_events(
        self, log: EventLog, pasts: Pasts, counting: Counting
    ) -> None:
        for _ in range(SHORT + 10):
            decide_together(
                log,
                pasts,
                [Decider(stream("a"), _count, lambda state: [requested("a")], metadata(), NOW, None)],
            )
        past = pasts.remembered(stream("a"))
        assert past is not None
        assert (past.version, past.state, len(past.commands)) == (SHORT + 10, SHORT + 10, SHORT + 10)
        assert past.events is None
        assert len(counting.looks) == 1

    def test_what_was_not_used_for_longest_is_forgotten(self, log: EventLog, counting: Counting) -> None:
        pasts = Pasts(log, most=3)
        for name in "abc":
            decide_together(log, pasts, [request(name)])
        decide_together(log, pasts, [approve("a", "ada")])
        assert [name for name in "abc" if pasts.remembered(stream(name))] == ["a", "c"]

    def test_a_store_that_goes_away_is_told_to_everybody(
        self, log: EventLog, pasts: Pasts, counting: Counting
    ) -> None:
        def away() -> None:
            raise OperationalError("gone")

        counting.before_append = away
        answers = decide_together(
            log, pasts, [request("a"), approve("a", "ada"), request("b"), approve("a", "bob")]
        )
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        assert len({id(answer) for answer in answers}) == 4
        assert log.ours.select_streams({stream("a"): 0, stream("b"): 0}) == []

    def test_what_one_command_breaks_is_not_the_others_fault(self, log: EventLog, pasts: Pasts) -> None:
        def broken(state: Approval | None) -> Sequence[Event]:
            raise ZeroDivisionError

        good, bad, other = decide_together(log, pasts, [request("a"), decider("b", broken), request("c")])
        assert isinstance(bad, ZeroDivisionError)
        assert committed(good).version == committed(other).version == 1

    def test_a_stream_that_cannot_be_read_is_not_the_others_fault(self, log: EventLog, pasts: Pasts) -> None:
        stored = log.stored(_recorded("a", 1, requested("a")))
        log.recorder.insert_events([StoredEvent(stream("a"), 1, "nobody.knows", stored.state)])
        bad, good = decide_together(log, pasts, [approve("a", "ada"), request("b")])
        assert isinstance(bad, LookupError)
        assert committed(good).version == 1

    def test_who_loses_every_race_is_told_so(
        self, log: EventLog, pasts: Pasts, logs: OpenLogs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("application.deciders._MAX_ATTEMPTS", 3)
        rival, tries = logs.open(), 0

        def decide(state: Approval | None) -> Sequence[Event]:
            nonlocal tries
            tries += 1
            _append(rival, "a", tries, requested("a"))
            return [requested("a")]

        lost, won = decide_together(
            log, pasts, [Decider(stream("a"), _keep, decide, metadata(), NOW, None), request("b")]
        )
        assert isinstance(lost, StoreUnavailable)
        assert "too busy" in str(lost)
        assert tries == 3
        assert committed(won).version == 1


def _count(state: int | None, event: Event) -> int:
    return (state or 0) + 1


def _stored(log: EventLog, name: str) -> tuple[Recorded, ...]:
    return tuple(map(log.recorded, log.ours.select_streams({stream(name): 0})))


def _keep(state: object, event: Event) -> object:
    return event


def _recorded(name: str, version: int, event: Event) -> Recorded:
    return Recorded(stream=stream(name), version=version, timestamp=NOW, meta=metadata(), event=event)


def _append(log: EventLog, name: str, version: int, event: Event) -> None:
    log.recorder.insert_events([log.stored(_recorded(name, version, event))])


class TestDecidersOnSqlite(DeciderCases):
    @pytest.fixture
    def logs(self, tmp_path: Path) -> Iterator[OpenLogs]:
        with open_logs(sqlite_settings(tmp_path)) as logs:
            yield logs


@pytest.mark.postgres
class TestDecidersOnPostgres(DeciderCases):
    @pytest.fixture
    def logs(self, postgres_store_url: str) -> Iterator[OpenLogs]:
        with open_logs(postgres_settings(postgres_store_url)) as logs:
            yield logs

    def test_a_name_that_the_database_cannot_take_is_not_the_others_fault(
        self, log: EventLog, pasts: Pasts
    ) -> None:
        bad, good = decide_together(log, pasts, [request("nul\x00"), request("b")])
        assert isinstance(bad, DataError)
        assert committed(good).version == 1

    def test_a_decision_on_what_the_log_has_lost_leaves_no_hole(self, log: EventLog, pasts: Pasts) -> None:
        _append(log, "a", 1, requested("a"))
        lost = (_recorded("a", 1, requested("a")), _recorded("a", 2, requested("a")))
        pasts.remember(stream("a"), Past().then(lost, _count))
        (answer,) = decide_together(
            log, pasts, [Decider(stream("a"), _count, lambda state: [requested("a")], metadata(), NOW, None)]
        )
        assert (committed(answer).version, committed(answer).past.state) == (2, 2)
        assert [recorded.version for recorded in _stored(log, "a")] == [1, 2]
