"""Which step a message answers, if its workflow alone does not say so.

A step's ``correlation`` maps names of its input to expressions over the message. The message answers the step
whose input has those values. If several steps have the same values, each takes one message, first the one
that has waited longest.
"""

import json
from collections.abc import Mapping
from typing import Any

from immutables import Map

from domain.bounded_jmespath import Allowance
from domain.contexts import reply_context
from domain.definition import Work
from domain.expressions import BadExpression, mapped
from domain.values import with_one_kind_of_number


def expected_key(name: str, work: Work, input: Mapping[str, Any]) -> str:
    """Return the key by which a dispatched step is found. ``name`` is the step's name in the plan, also for
    an item."""
    return _key(name, {each: input.get(each) for each in work.correlation})


def message_key(name: str, work: Work, data: Mapping[str, Any], allowance: Allowance) -> str | None:
    """Return the key of what a message is about, or None if it does not say so, or if that cannot be read."""
    try:
        values = mapped(work.correlation, reply_context(data), allowance)
    except BadExpression:
        return None
    return None if None in values.values() else _key(name, values)


def told_apart(
    expected: Map[str, tuple[str, ...]], step_type: str, before: str | None, now: str | None
) -> Map[str, tuple[str, ...]]:
    """Return which steps are found by which key, once the key of one step has changed. A step that gets a key
    stands last."""
    if before is not None:
        at = expected[before].index(step_type)
        others = expected[before][:at] + expected[before][at + 1 :]
        expected = expected.set(before, others) if others else expected.delete(before)
    return expected if now is None else expected.set(now, (*expected.get(now, ()), step_type))


def _key(name: str, values: Mapping[str, Any]) -> str:
    return json.dumps([name, with_one_kind_of_number(values)], sort_keys=True)
