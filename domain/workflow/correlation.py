"""Which step a message answers, where its workflow alone does not tell.

A step's ``correlation`` maps names of its input to expressions over the message: the message answers the step
whose input has those values. Of several that have the same, the one that was dispatched last.
"""

import json
from collections.abc import Mapping
from typing import Any

from domain.definition import Work
from domain.expressions import BadExpression, mapped


def expected_key(name: str, work: Work, input: Mapping[str, Any]) -> str:
    """What a dispatched step is found by; ``name`` is the step's of the plan, also for an item."""
    return _key(name, {each: input.get(each) for each in work.correlation})


def message_key(name: str, work: Work, data: Mapping[str, Any]) -> str | None:
    """What a message is about; nothing where it does not say, or where that cannot be read."""
    try:
        values = mapped(work.correlation, {"data": data})
    except BadExpression:
        return None
    return None if None in values.values() else _key(name, values)


def _key(name: str, values: Mapping[str, Any]) -> str:
    return json.dumps([name, values], sort_keys=True)
