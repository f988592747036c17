"""What is wrong with the order of a definition's steps."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from domain.definition import StepDefinition
from domain.faults import Fault


def order_faults(steps: Collection[StepDefinition]) -> Iterator[Fault]:
    """Yield faults for steps that wait for a step that does not exist, for each other, or for steps that wait
    for each other."""
    after: dict[str, tuple[str, ...]] = {}
    for step in steps:
        after.setdefault(step.step_type, step.after)
    for number, step in enumerate(steps):
        times = Counter(step.after)
        for place, before in enumerate(step.after):
            field = f"steps[{number}].after[{place}]"
            if before not in after:
                yield Fault(field, f"there is no step {before}")
            elif times[before] > 1 and before in step.after[:place]:
                yield Fault(field, f"{before} is listed twice")
    waiting = _never_due(after)
    rings = {name: ring for ring in _rings(after, waiting) for name in ring}
    told: set[str] = set()
    for number, step in enumerate(steps):
        name = step.step_type
        if name in rings and name not in told:
            ring = rings[name]
            told |= set(ring)
            yield Fault(f"steps[{number}].after", f"forms a cycle: {' -> '.join((*ring, ring[0]))}")
        elif name in waiting and name not in rings:
            yield Fault(f"steps[{number}].after", "depends on a cycle, so the step is unreachable")


def _never_due(after: Mapping[str, Collection[str]]) -> set[str]:
    """Return the steps that are left when steps that wait for none of the others are removed again and
    again."""
    left = dict(after)
    while due := [name for name in left if not any(before in left for before in left[name])]:
        for name in due:
            del left[name]
    return set(left)


def _rings(after: Mapping[str, Collection[str]], waiting: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield the cycles among steps that wait for ever, in the order in which each waits for the next.

    A walk from each of them, always to the first that it waits for, ends in a cycle.
    """
    known: set[str] = set()
    for start in after:
        if start not in waiting:
            continue
        walk: dict[str, int] = {}
        name = start
        while name not in walk and name not in known:
            walk[name] = len(walk)
            name = next(before for before in after[name] if before in waiting)
        if name in walk:
            yield tuple(walk)[walk[name] :]
        known |= set(walk)
