"""Compare two commits alternately: ``python -m benchmarks.compare REV [NAME…] [--rounds 5]``.

The programs and the libraries are those of this tree. The service is that of this tree and that of REV, one
after the other in each round. There are no references: the commits are compared with each other.

The verdict is "better" or "worse" only if every round of one commit is above every round of the other. By
chance that happens once in ten times with three rounds, and once in 126 with five.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.harness import HERE, Measurement, Options, in_turns, spread
from benchmarks.machine import commit
from benchmarks.programs import PROGRAMS, Outcome, run_program

FEWEST_ROUNDS = 3


@contextmanager
def tree_of(revision: str) -> Iterator[Path]:
    """Yield a working tree of a revision, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="benchmark-tree-") as folder:
        tree = Path(folder, "tree")
        git = ["git", "-C", str(HERE), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def merged(outcomes: Sequence[Outcome]) -> dict[str, Measurement]:
    """Return one measurement per work, with the values of all rounds in which the program did not fail."""
    found: dict[str, Measurement] = {}
    for outcome in outcomes:
        for measurement in outcome.measurements:
            if measurement.work in found:
                found[measurement.work].ours.extend(measurement.ours)
            else:
                found[measurement.work] = measurement
    return found


def compared(name: str, options: Options, before: Path) -> list[str]:
    """Return the rows of one program."""
    once = replace(options, rounds=1, with_references=False)
    outcomes = in_turns(
        options.rounds,
        {
            "before": partial(run_program, name, replace(once, service_root=before)),
            "now": partial(run_program, name, once),
        },
    )
    then, now = merged(outcomes["before"]), merged(outcomes["now"])
    rows = [_row(then[work], now[work]) for work in now if work in then]
    rows += [
        f"| {name} | **failed** on {side}: {outcome.error} | | | |"
        for side, each in outcomes.items()
        for outcome in each
        if outcome.error
    ]
    return rows


def main() -> int:
    """Compare and print. Return 1 if a program failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("revision", metavar="REV", help="the commit to compare with")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", dest="size", action="store_const", const="tiny", default="short")
    given = parser.parse_intermixed_args()
    if unknown := set(given.names) - set(PROGRAMS):
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    options = Options(rounds=given.rounds, size=given.size)
    rows: list[str] = []
    with tree_of(given.revision) as before:
        title = f"| work | {commit(before)} | {commit(HERE)} | ratio | |"
        for name in given.names or PROGRAMS:
            print(f"{name} …", file=sys.stderr, flush=True)
            rows += compared(name, options, before)
    print("\n".join([title, "| --- | --- | --- | --- | --- |", *rows]))
    return 1 if any("**failed**" in row for row in rows) else 0


def _row(then: Measurement, now: Measurement) -> str:
    ratio = now.median / statistics.median(then.ours)
    cells = (
        now.title,
        spread(then.ours),
        f"{spread(now.ours)} {now.unit}",
        f"{ratio:.2f}",
        _verdict(then, now),
    )
    return f"| {' | '.join(cells)} |"


def _verdict(then: Measurement, now: Measurement) -> str:
    if min(len(then.ours), len(now.ours)) < FEWEST_ROUNDS:
        return "too few rounds"
    if max(now.ours) >= min(then.ours) and min(now.ours) <= max(then.ours):
        return "within spread"
    return "better" if (now.median > statistics.median(then.ours)) == (now.better == "higher") else "worse"


if __name__ == "__main__":
    sys.exit(main())
