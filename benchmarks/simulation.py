"""SIMULATION: commands per second of 1, 2, 4 and 8 instances on one PostgreSQL, or on several by tenant.

    .venv/bin/python -m benchmarks.simulation [--seconds 2] [--inputs benchmarks/simulation_inputs.json]

It shows the limit if each instance has its own core, which cannot be measured on two cores. It is a
discrete-event simulation (the model is in ``benchmarks.simulated_service``) of closed-loop clients, with
three speeds of the log's disk, with and without group commit, and with tenants on one, two and four logs. Its
inputs are measured values, each with its source; its output are the tables in ``docs/scale.md``. The rates
are sustainable: clients are held back while the outbox is behind, because otherwise it would never catch up.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from benchmarks.simulated_service import Inputs, Outcome, Plan, simulate

INSTANCES = (1, 2, 4, 8)
FSYNC_US = (170, 2_000, 5_000)
LOGS = (1, 2, 4)


class _Given(msgspec.Struct, frozen=True):
    value: float | bool
    source: str


def read_inputs(path: Path) -> Inputs:
    """Return the values in a file of inputs, in which each has its source."""
    given = msgspec.json.decode(path.read_bytes(), type=dict[str, _Given])
    return msgspec.convert({name: each.value for name, each in given.items()}, Inputs)


def by_disk(inputs: Inputs, seconds: float) -> Iterator[str]:
    """Yield the table for one log: a row per number of instances, a column per disk and group commit."""
    columns = {
        f"{fsync / 1000:g} ms, {'group' if group else 'alone'}": (inputs, 1, fsync, group)
        for fsync in FSYNC_US
        for group in (False, True)
    }
    return _table(columns, seconds)


def by_logs(inputs: Inputs, seconds: float) -> Iterator[str]:
    """Yield the table for tenants on several logs, with group commit."""
    columns = {
        f"{fsync / 1000:g} ms, {logs} {'log' if logs == 1 else 'logs'}": (inputs, logs, fsync, True)
        for fsync in FSYNC_US
        for logs in LOGS
    }
    return _table(columns, seconds)


def by_leader(inputs: Inputs, seconds: float) -> Iterator[str]:
    """Yield the table for projections and outbox in an instance, or in a separate process with its own
    core."""
    columns = {
        f"{fsync / 1000:g} ms, leader {'apart' if apart else 'within'}": (
            msgspec.structs.replace(inputs, leader_apart=apart),
            1,
            fsync,
            True,
        )
        for fsync in FSYNC_US
        for apart in (False, True)
    }
    return _table(columns, seconds)


def _table(columns: Mapping[str, tuple[Inputs, int, int, bool]], seconds: float) -> Iterator[str]:
    yield "| instances | " + " | ".join(columns) + " |"
    yield "| --- |" + " ---: |" * len(columns)
    for instances in INSTANCES:
        outcomes = (
            simulate(inputs, Plan(instances, logs, fsync, group), seconds)
            for inputs, logs, fsync, group in columns.values()
        )
        yield f"| {instances} | " + " | ".join(map(cell, outcomes)) + " |"


def cell(outcome: Outcome) -> str:
    """Return a rate and its limit."""
    return f"{outcome.commands_a_second:,.0f} {outcome.limit}"


def main() -> None:
    """Print all tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="simulated time of one cell")
    parser.add_argument("--inputs", type=Path, default=Path(__file__).with_name("simulation_inputs.json"))
    given = parser.parse_args()
    inputs = read_inputs(given.inputs)
    print("SIMULATION: commands a second, and the limit")
    for title, rows in (
        ("One log", by_disk),
        ("Tenants shared out over several logs, with group commit", by_logs),
        ("Projections and outbox in a process of their own, with group commit", by_leader),
    ):
        print(f"\n{title}\n\n" + "\n".join(rows(inputs, given.seconds)))


if __name__ == "__main__":
    main()
