"""A tenant's definition over its versions: published, the same again, retired."""

import msgspec
import pytest

from domain.definition import OPPORTUNITY_ANALYSIS, StepDefinition, WorkflowDefinition
from domain.errors import DefinitionExists, DefinitionNotFound
from domain.event import Event
from domain.published_definition import (
    DefinitionPublished,
    DefinitionRetired,
    PublishedDefinition,
    evolve,
    publish,
    retire,
)
from domain.values import timestamp
from tests.builders import NOW, after

NAME = "opportunity-analysis"


def described(text: str) -> WorkflowDefinition:
    return msgspec.structs.replace(OPPORTUNITY_ANALYSIS, description=text, version=77)


def published(*texts: str) -> PublishedDefinition:
    state: PublishedDefinition | None = None
    for text in texts:
        for event in publish(state, described(text), as_new=False, now=NOW):
            state = evolve(state, event)
    assert state is not None
    return state


def after_events(state: PublishedDefinition, events: tuple[Event, ...]) -> PublishedDefinition:
    for event in events:
        state = evolve(state, event)
    return state


def test_versions_count_from_one_whatever_the_document_says() -> None:
    state = published("first", "second", "third")
    versions = [state.version(number) for number in range(5)]
    assert [each and (each.version, each.description) for each in versions] == [
        None,
        (1, "first"),
        (2, "second"),
        (3, "third"),
        None,
    ]
    assert state.newest == versions[state.last_version] == versions[3]


def test_many_versions_of_a_large_definition_take_little_room() -> None:
    """Each would take some 3 MB."""
    input = {f"member_{number}": f"input.member_{number}" for number in range(60)}
    steps = tuple(
        StepDefinition(step_type=f"step_{number}", result_key=f"step_{number}", input=input)
        for number in range(180)
    )
    state: PublishedDefinition | None = None
    for number in range(20):
        definition = WorkflowDefinition(name=NAME, version=1, description=str(number), steps=steps)
        (event,) = publish(state, definition, as_new=False, now=NOW)
        state = evolve(state, event)
    assert state is not None
    assert state.newest is not None
    assert state.version(7) == msgspec.structs.replace(state.newest, version=7, description="6")
    assert sum(map(len, state.packed)) < 20 * 20_000


def test_the_same_again_publishes_nothing_but_an_older_one_does() -> None:
    state = published("first", "second")
    assert publish(state, described("second"), as_new=False, now=NOW) == ()
    assert publish(state, described("second"), as_new=True, now=NOW) == ()
    (event,) = publish(state, described("first"), as_new=False, now=after(days=1))
    assert isinstance(event, DefinitionPublished)
    assert (event.version, event.definition.version, timestamp(event.published_at)) == (
        3,
        3,
        "2026-11-23T22:10:05.123Z",
    )


def test_one_and_true_are_not_the_same() -> None:
    def asks(value: object) -> WorkflowDefinition:
        step = StepDefinition(step_type="a", result_key="a", parameters={"request": "a", "x": value})
        return WorkflowDefinition(name="a", version=1, steps=(step,))

    (first,) = publish(None, asks(1), as_new=True, now=NOW)
    state = evolve(None, first)
    assert publish(state, asks(1), as_new=False, now=NOW) == ()
    assert len(publish(state, asks(True), as_new=False, now=NOW)) == 1
    assert len(publish(state, asks(1.0), as_new=False, now=NOW)) == 1


def test_another_of_the_same_name_is_no_new_one() -> None:
    with pytest.raises(DefinitionExists):
        publish(published("first"), described("second"), as_new=True, now=NOW)


def test_all_versions_are_retired_or_one() -> None:
    state = published("first", "second", "third")
    (one,) = retire(state, name=NAME, version=3, now=NOW)
    assert isinstance(one, DefinitionRetired)
    assert (one.versions, one.newest) == ((3,), state.version(2))
    state = evolve(state, one)
    assert (state.newest, state.last_version) == (state.version(2), 3)
    (rest,) = retire(state, name=NAME, version=None, now=NOW)
    assert isinstance(rest, DefinitionRetired)
    assert (rest.versions, rest.newest) == ((1, 2), None)
    assert evolve(state, rest).newest is None


def test_what_is_retired_already_stays_so() -> None:
    state = published("first")
    state = after_events(state, retire(state, name=NAME, version=None, now=NOW))
    assert retire(state, name=NAME, version=None, now=NOW) == ()
    assert retire(state, name=NAME, version=1, now=NOW) == ()


def test_a_retired_definition_may_be_published_anew_also_as_it_was() -> None:
    state = published("first")
    state = after_events(state, retire(state, name=NAME, version=None, now=NOW))
    state = after_events(state, publish(state, described("first"), as_new=True, now=NOW))
    assert state.newest is not None
    assert (state.newest.version, state.retired) == (2, frozenset({1}))


@pytest.mark.parametrize("version", [None, 1])
def test_what_is_not_there_cannot_be_retired(version: int | None) -> None:
    with pytest.raises(DefinitionNotFound):
        retire(None, name=NAME, version=version, now=NOW)
    with pytest.raises(DefinitionNotFound):
        retire(published("first"), name=NAME, version=2, now=NOW)
