"""Who wants which events: by kind, by condition, joined."""

import pytest

from domain.event import Event, Recorded
from domain.interest import EVERYTHING, Interest
from domain.job import JobEvent, JobFired, JobPaused, JobRunCompleted
from tests.builders import NOW, metadata
from tests.samples import SAMPLES


def sample(kind: type[Event]) -> Event:
    return SAMPLES[kind.TOPIC].event


def recorded(event: Event, version: int = 1) -> Recorded:
    return Recorded(stream="t/job/j", version=version, timestamp=NOW, meta=metadata(), event=event)


@pytest.mark.parametrize("times", [1, 2], ids=["asked once", "asked again"])
def test_a_kind_is_wanted_and_no_other(times: int) -> None:
    wants = Interest(JobFired)
    for _ in range(times):
        assert wants(sample(JobFired))
        assert not wants(sample(JobPaused))


def test_a_union_names_each_of_its_kinds() -> None:
    wants = Interest(JobFired | JobPaused)
    assert [wants(sample(kind)) for kind in (JobFired, JobPaused, JobRunCompleted)] == [True, True, False]


def test_a_condition_is_asked_of_each_event() -> None:
    asked: list[Event] = []

    def is_asked_twice(event: JobFired) -> bool:
        asked.append(event)
        return len(asked) == 2

    wants = Interest(JobFired, where=is_asked_twice)
    fired = sample(JobFired)
    assert [wants(fired), wants(fired), wants(sample(JobPaused))] == [False, True, False]
    assert asked == [fired, fired], "not of what is of another kind"


def test_two_are_joined_and_the_first_decides_on_a_kind_that_both_name() -> None:
    wants = Interest(JobFired, where=lambda event: False) | Interest(JobFired | JobPaused)
    assert not wants(sample(JobFired))
    assert wants(sample(JobPaused))


def test_what_is_joined_does_not_change_those_that_it_is_made_of() -> None:
    one, other = Interest(JobFired), Interest(JobPaused)
    assert (one | other)(sample(JobPaused))
    assert not one(sample(JobPaused))


def test_the_wanted_among_many_keep_their_order() -> None:
    kinds: list[type[Event]] = [JobFired, JobPaused, JobRunCompleted, JobFired]
    events = [recorded(sample(kind), version) for version, kind in enumerate(kinds, start=1)]
    wants = Interest(JobFired | JobRunCompleted)
    assert [each.version for each in wants.among(events)] == [1, 3, 4]
    assert wants.in_any([sample(JobPaused), sample(JobFired)])
    assert not wants.in_any([sample(JobPaused)])


def test_everything_is_every_event_and_nothing_none() -> None:
    assert all(EVERYTHING(each.event) for each in SAMPLES.values())
    assert not any(Interest()(each.event) for each in SAMPLES.values())
    assert any(Interest(JobEvent)(each.event) for each in SAMPLES.values())
