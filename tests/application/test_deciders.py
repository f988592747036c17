"""Commands that come at the same time: one look, one commit, and each has its own answer."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import DataError, OperationalError, StoredEvent

from application.deciders import Answer, Committed, Decider, decide_together
from application.event_log import Append, EventLog, Ids
from domain import approval
from domain.approval import Approval, ApprovalApproved, ApprovalRequested
from domain.errors import ApprovalNotPending, StoreUnavailable, VersionMismatch
from domain.event import Event, Metadata, Recorded
from tests.application.logs import OpenLogs, open_logs, postgres_settings, sqlite_settings
from tests.builders import NOW, TENANT, metadata

Decide = Callable[[Approval | None], Sequence[Event]]


def stream(name: str) -> str:
    return f"{TENANT}/approval/{name}"


def requested(name: str) -> ApprovalRequested:
    return ApprovalRequested(approval_id=name, opportunity_id="o", risk_score=1, amount=1, requested_at=NOW)


def approved(name: str, by: str) -> ApprovalApproved:
    return ApprovalApproved(approval_id=name, opportunity_id="o", decided_by=by, decided_at=NOW)


def decider(
    name: str, decide: Decide, *, meta: Metadata | None = None, expected_version: int | None = None
) -> Decider:
    return Decider(stream(name), approval.evolve, decide, meta or metadata(), NOW, expected_version)


def request(name: str, **how: Any) -> Decider:
    return decider(name, lambda state: approval.request(state, requested(name)), **how)


def approve(name: str, by: str, **how: Any) -> Decider:
    def decide(state: Approval | None) -> Sequence[Event]:
        assert state is not None
        return approval.approve(state, decided_by=by, comment=None, now=NOW)

    return decider(name, decide, **how)


def committed(answer: Answer) -> Committed:
    assert isinstance(answer, Committed), answer
    return answer


class Counting:
    """A recorder of which every look and every append is counted, and may be made to fail."""

    def __init__(self, log: EventLog) -> None:
        self.looks: list[list[str]] = []
        self.appends: list[int] = []
        self.before_append: Callable[[], None] = lambda: None
        log.recorder.select_streams = self.select_streams  # type: ignore[attr-defined]
        log.recorder.append_together = self.append_together  # type: ignore[attr-defined]
        self._select = type(log.recorder).select_streams.__get__(log.recorder)  # type: ignore[attr-defined]
        self._append = type(log.recorder).append_together.__get__(log.recorder)  # type: ignore[attr-defined]

    def select_streams(self, streams: Sequence[str]) -> Any:
        self.looks.append(sorted(streams))
        return self._select(streams)

    def append_together(self, appends: Sequence[Append]) -> Sequence[Ids | Exception]:
        self.appends.append(len(appends))
        before, self.before_append = self.before_append, lambda: None
        before()
        answers: Sequence[Ids | Exception] = self._append(appends)
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
    def counting(self, log: EventLog) -> Counting:
        return Counting(log)

    def test_many_streams_take_one_look_and_one_append(self, log: EventLog, counting: Counting) -> None:
        answers = decide_together(log, [request(str(number)) for number in range(20)])
        assert [committed(answer).version for answer in answers] == [1] * 20
        assert len(counting.looks) == 1
        assert counting.appends == [20]
        positions = [committed(answer).position for answer in answers]
        assert len(set(positions)) == 20
        assert log.head() == positions[-1]

    def test_commands_to_one_stream_are_decided_one_on_the_other(
        self, log: EventLog, counting: Counting
    ) -> None:
        asked, ada, bob, ada_again = decide_together(
            log, [request("a"), approve("a", "ada"), approve("a", "bob"), approve("a", "ada")]
        )
        assert isinstance(bob, ApprovalNotPending)
        assert [committed(each).version for each in (asked, ada, ada_again)] == [1, 2, 2]
        assert [len(committed(each).new) for each in (asked, ada, ada_again)] == [1, 1, 0]
        assert committed(ada_again).position == committed(ada).position == log.head()
        assert committed(asked).position != log.head()
        assert counting.appends == [1]

    def test_the_same_command_twice_at_the_same_time_is_decided_once(self, log: EventLog) -> None:
        meta = metadata()
        first, again = decide_together(log, [request("a", meta=meta), request("a", meta=meta)])
        assert [len(committed(each).new) for each in (first, again)] == [1, 0]
        assert len(log.many_streams.select_streams([stream("a")])) == 1

    def test_a_version_that_is_expected_counts_what_came_just_before(self, log: EventLog) -> None:
        decide_together(log, [request("a")])
        ada, bob = decide_together(
            log, [approve("a", "ada", expected_version=1), approve("a", "bob", expected_version=1)]
        )
        assert committed(ada).version == 2
        assert isinstance(bob, VersionMismatch)

    def test_a_rival_costs_a_fresh_decision_to_those_of_his_stream_alone(
        self, log: EventLog, logs: OpenLogs, counting: Counting
    ) -> None:
        decide_together(log, [request("a"), request("b")])
        rival = logs.open()
        counting.before_append = lambda: _append(rival, "a", 2, approved("a", "rival"))
        counting.looks.clear()
        a, b, a_refused, nobody = decide_together(
            log, [approve("a", "ada"), approve("b", "ada"), approve("a", "bob"), approve("a", "rival")]
        )
        assert committed(b).version == 2
        assert isinstance(a, ApprovalNotPending)
        assert isinstance(a_refused, ApprovalNotPending)
        assert a.details is not None
        assert a.details["decidedBy"] == "rival"
        assert a_refused.details == a.details, "refused on the strength of what was never appended"
        assert committed(nobody).new == ()
        assert counting.looks == [[stream("a"), stream("b")], [stream("a")]]

    def test_a_store_that_goes_away_is_told_to_everybody(self, log: EventLog, counting: Counting) -> None:
        def away() -> None:
            raise OperationalError("gone")

        counting.before_append = away
        answers = decide_together(log, [request("a"), approve("a", "ada"), request("b"), approve("a", "bob")])
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        assert len({id(answer) for answer in answers}) == 4
        assert log.many_streams.select_streams([stream("a"), stream("b")]) == []

    def test_what_one_command_breaks_is_not_the_others_fault(self, log: EventLog) -> None:
        def broken(state: Approval | None) -> Sequence[Event]:
            raise ZeroDivisionError

        good, bad, other = decide_together(log, [request("a"), decider("b", broken), request("c")])
        assert isinstance(bad, ZeroDivisionError)
        assert committed(good).version == committed(other).version == 1

    def test_a_stream_that_cannot_be_read_is_not_the_others_fault(self, log: EventLog) -> None:
        stored = log.stored(_recorded("a", 1, requested("a")))
        log.recorder.insert_events([StoredEvent(stream("a"), 1, "nobody.knows", stored.state)])
        bad, good = decide_together(log, [approve("a", "ada"), request("b")])
        assert isinstance(bad, LookupError)
        assert committed(good).version == 1

    def test_who_loses_every_race_is_told_so(
        self, log: EventLog, logs: OpenLogs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("application.deciders._MAX_ATTEMPTS", 3)
        rival, tries = logs.open(), 0

        def decide(state: Approval | None) -> Sequence[Event]:
            nonlocal tries
            tries += 1
            _append(rival, "a", tries, requested("a"))
            return [requested("a")]

        lost, won = decide_together(
            log, [Decider(stream("a"), _keep, decide, metadata(), NOW, None), request("b")]
        )
        assert isinstance(lost, StoreUnavailable)
        assert "too busy" in str(lost)
        assert tries == 3
        assert committed(won).version == 1


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

    def test_a_name_that_the_database_cannot_take_is_not_the_others_fault(self, log: EventLog) -> None:
        bad, good = decide_together(log, [request("nul\x00"), request("b")])
        assert isinstance(bad, DataError)
        assert committed(good).version == 1
