"""Run benchmarks and store the results: ``python -m benchmarks [NAME…] [--rounds 3] [--long]``.

The results of all programs go to ``benchmarks/results``. With names or ``--tiny``, they are only printed,
unless ``--output`` is given. A program that fails is recorded as failed, and the others continue.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.harness import HERE, Options
from benchmarks.machine import load
from benchmarks.programs import PROGRAMS, Outcome, run_program
from benchmarks.report import RESULTS, table, write


def main() -> int:
    """Run the programs. Return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--long", dest="size", action="store_const", const="long", default="short")
    form.add_argument("--tiny", dest="size", action="store_const", const="tiny", help="only to see it work")
    parser.add_argument("--service-root", type=Path, default=HERE, help="the tree whose service is measured")
    parser.add_argument("--output", type=Path, help="the folder for the results")
    given = parser.parse_args()
    if unknown := set(given.names) - set(PROGRAMS):
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    options = Options(rounds=given.rounds, size=given.size, service_root=given.service_root.resolve())
    busy = load()
    outcomes: list[Outcome] = []
    for name in given.names or PROGRAMS:
        print(f"{name} …", file=sys.stderr, flush=True)
        outcomes.append(run_program(name, options))
        print(f"{name}: {outcomes[-1].seconds:.0f} s", file=sys.stderr, flush=True)
    print(table(outcomes))
    for outcome in outcomes:
        for measurement in outcome.measurements:
            print("".join(f"{measurement.work}: {note}\n" for note in measurement.notes), end="")
    folder = given.output or (None if given.names or given.size == "tiny" else RESULTS)
    if folder:
        write(outcomes, options, folder, load=busy)
    return 1 if any(outcome.error for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
