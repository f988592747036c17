"""Definitions for tests: small ones, and random ones that can be run."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from domain.definition import (
    Announcements,
    Concurrency,
    MapOver,
    Retry,
    StepDefinition,
    Trigger,
    Work,
    WorkflowDefinition,
)

Document = dict[str, Any]


def document(*steps: Document, **members: Any) -> Document:
    """Return the document of a definition, by default with one step that sends a request."""
    return {"name": "deal-check", "steps": list(steps) or [step("check")], **members}


def step(step_type: str, *after: str, **members: Any) -> Document:
    """Return a step, which by default sends a request."""
    made: Document = {"stepType": step_type, **members}
    if after:
        made["after"] = list(after)
    if "kind" not in members:
        made.setdefault("parameters", {"request": "deal.check.requested"})
    return made


_names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_message_types = st.from_regex(r"[a-z_]{1,6}(\.[a-z_]{1,6}){0,2}", fullmatch=True)
_announced_types = _message_types.map(lambda message_type: f"announced.{message_type}")
_everywhere = ("@", "`true`", "'ü \"<&'")
_over_input = st.sampled_from([*_everywhere, "input.amount", "input.a || input.b", "length(input.items)"])
_lists = st.sampled_from(["@", "input.amount", "input.a || input.b", "`[1, 2]`"])
_over_messages = st.sampled_from([*_everywhere, "data.amount > `0.7`", "data.a || data.b", "length(type)"])
_durations = st.one_of(
    st.integers(1, 86_400).map(float), st.floats(0.001, 1000).map(lambda seconds: round(seconds, 3))
)


def _inputs(expressions: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.text("abcXYZ_-.", min_size=1, max_size=6), expressions, max_size=3)


_parameters: st.SearchStrategy[tuple[str, Document]] = st.sampled_from(
    [
        ("event", {"request": "deal.check.requested"}),
        (
            "event",
            {
                "request": "deal.check.requested",
                "replies": [
                    {"type": "deal.check.completed", "result": {"risk": "data.risk"}},
                    {"type": "deal.check.failed", "failed": True},
                ],
            },
        ),
        ("http", {"service": "ml_service", "method": "POST", "path": "/api/v1/x?a=b", "body": "all"}),
        ("task", {"queue": "reviews"}),
        ("approval", {}),
        ("wait", {"seconds": 0.001}),
        ("wait", {"event": "contract.signed"}),
        ("workflow", {"definition": "other", "version": 3, "await": False}),
    ]
)


@st.composite
def _retries(draw: st.DrawFn) -> Retry:
    delay = draw(_durations)
    return Retry(
        attempts=draw(st.integers(1, 100)),
        delay_seconds=delay,
        factor=draw(st.floats(1, 10)),
        most_seconds=delay + draw(_durations),
        jitter=draw(st.floats(0, 1)),
        on=tuple(
            draw(st.lists(st.sampled_from(["reported", "timed_out", "unavailable", "rejected"]), unique=True))
        ),
    )


@st.composite
def _works(draw: st.DrawFn) -> Work:
    kind, parameters = draw(_parameters)
    return Work(
        kind=kind,
        parameters=parameters,
        input=draw(_inputs(_over_input)),
        timeout_seconds=draw(st.none() | _durations),
        retry=draw(st.just(Retry()) | _retries()),
    )


def _of_result(step: StepDefinition) -> str:
    """Return conditions on a step's result that fit its kind."""
    result = f"results.{step.result_key}"
    of_kinds = {"map": f"{result}[0].risk", "approval": f"{result}.outcome == 'approved'"}
    return of_kinds.get(step.kind, f"{result}.risk > `0.7`")


@st.composite
def _steps(draw: st.DrawFn) -> tuple[StepDefinition, ...]:
    """Return steps, each after some of the others, without cycles and in any order."""
    made: list[StepDefinition] = []
    for name in draw(st.lists(_names, min_size=1, max_size=3, unique=True)):
        over = draw(st.none() | st.builds(MapOver, over=_lists, each=_works(), at_once=st.integers(1, 9)))
        work = (
            draw(_works()) if over is None else Work(kind="map", timeout_seconds=draw(st.none() | _durations))
        )
        fields = {field: getattr(work, field) for field in Work.__struct_fields__}
        before = [each.step_type for each in made]
        over_results = st.sampled_from(["@", *(_of_result(each) for each in made)])
        made.append(
            StepDefinition(
                **fields,
                step_type=name,
                after=tuple(draw(st.lists(st.sampled_from(before), unique=True))) if before else (),
                critical=draw(st.booleans()),
                when=draw(st.none() | _over_input | over_results),
                result_key=draw(st.sampled_from([name, f"{name}Result"])),
                map=over,
                compensation=draw(st.none() | _works()),
            )
        )
    return tuple(draw(st.permutations(made)))


@st.composite
def runnable_definitions(draw: st.DrawFn) -> WorkflowDefinition:
    """Return a random definition without faults."""
    return WorkflowDefinition(
        name=draw(st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,5}){0,2}", fullmatch=True)),
        version=draw(st.integers(1, 2**31 - 1)),
        description=draw(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=9)
        ),
        input_schema=draw(
            st.none()
            | st.just({"type": "object", "properties": {"amount": {"type": "number", "minimum": 0.5}}})
        ),
        needs_opportunity=draw(st.booleans()),
        deadline_seconds=draw(st.none() | _durations),
        concurrency=draw(
            st.builds(
                Concurrency,
                policy=st.sampled_from(["allow", "skip", "replace", "queue"]),
                key=_over_input,
                debounce_seconds=st.just(0.0) | _durations,
            )
        ),
        triggers=tuple(
            draw(
                st.lists(
                    st.builds(
                        Trigger,
                        message_type=_message_types,
                        filter=st.none() | _over_messages,
                        opportunity_id=_over_messages,
                        input=_inputs(_over_messages),
                    ),
                    max_size=2,
                )
            )
        ),
        announcements=draw(st.builds(Announcements, started=st.none() | _announced_types)),
        steps=draw(_steps()),
    )


def with_version(definition: WorkflowDefinition, version: int) -> WorkflowDefinition:
    """Return the definition with another version."""
    return msgspec.structs.replace(definition, version=version)
