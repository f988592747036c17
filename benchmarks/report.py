"""Writes the results: Markdown for people, JSON for programs, and a plot of each measurement."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.harness import Measurement, Options, readable, spread
from benchmarks.machine import commit, machine, versions
from benchmarks.programs import Outcome

RESULTS = Path(__file__).with_name("results")
_REACHED = {True: "yes", False: "**no**", None: "not measured"}
_BAR, _LABELS, _WIDTH = 26, 280, 760


def write(outcomes: Sequence[Outcome], options: Options, folder: Path, *, load: str) -> None:
    """Write ``latest.md``, ``latest.json`` and ``<work>.svg``, and replace those of the previous run.

    ``load`` is the load of the machine when the run began.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    about = {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(options.service_root),
        "form": options.size,
        "rounds": options.rounds,
        "machine": {**machine(), "load before": load},
        "versions": versions(),
    }
    found = {**about, "programs": [_with_medians(outcome) for outcome in outcomes]}
    (folder / "latest.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "latest.md").write_text(_page(about, outcomes))
    for outcome in outcomes:
        for measurement in outcome.measurements:
            (folder / f"{measurement.work}.svg").write_text(plot(measurement))


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a table with a row for each measurement, and for each program that failed."""
    rows = ["| work | ours | reference | ratio | aim | reached |", "| --- | --- | --- | --- | --- | --- |"]
    for outcome in outcomes:
        if outcome.error:
            rows.append(f"| {outcome.program} | **failed** | | | {_one_line(outcome.error)} | |")
        rows += [_row(measurement) for measurement in outcome.measurements]
    return "\n".join(rows) + "\n"


def plot(measurement: Measurement) -> str:
    """Return an SVG with a bar for the median of ours and of each reference, and a line from minimum to
    maximum."""
    bars = {"ours": measurement.ours, **measurement.references}
    most = max(max(values) for values in bars.values()) or 1.0
    scale = (_WIDTH - _LABELS - 130) / most
    drawn = [f'<text x="4" y="18" font-weight="bold">{escape(measurement.title)}, {measurement.unit}</text>']
    for number, (name, values) in enumerate(bars.items()):
        top, middle = 32 + number * (_BAR + 8), statistics.median(values)
        centre = top + _BAR / 2
        colour = "#2166ac" if name == "ours" else "#b0b0b0"
        drawn += [
            f'<text x="{_LABELS - 8}" y="{centre + 4}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LABELS}" y="{top}" width="{middle * scale:.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<path d="M{_LABELS + min(values) * scale:.1f} {centre}H{_LABELS + max(values) * scale:.1f}"'
            ' stroke="black" stroke-width="2"/>',
            f'<text x="{_LABELS + max(values) * scale + 8:.1f}" y="{centre + 4}">{readable(middle)}</text>',
        ]
    height = 40 + len(bars) * (_BAR + 8)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
    return f'{opening} font-family="sans-serif" font-size="13">\n' + "\n".join(drawn) + "\n</svg>\n"


def _page(about: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    parts = [
        "# Measured side by side\n",
        f"Taken {about['taken']} on commit {about['commit']}, {about['form']} form, {about['rounds']} rounds"
        " in turns. Medians, and in brackets what they lie within. Written by `make bench`.\n",
        table(outcomes),
    ]
    for outcome in outcomes:
        for measurement in outcome.measurements:
            parts += [f"## {measurement.title}\n", f"![{measurement.title}]({measurement.work}.svg)\n"]
            parts += ["".join(f"- {note}\n" for note in measurement.notes)] if measurement.notes else []
    for name in ("machine", "versions"):
        parts += [f"## {name.capitalize()}\n", "".join(f"- {key}: {it}\n" for key, it in about[name].items())]
    return "\n".join(parts)


def _row(measurement: Measurement) -> str:
    cells = [
        measurement.title,
        f"{spread(measurement.ours)} {measurement.unit}",
        "<br>".join(f"{name}: {spread(values)}" for name, values in measurement.references.items()),
        "<br>".join(f"{measurement.ratio(name):.2f}" for name in measurement.references),
        "<br>".join(aim.words(measurement) for aim in measurement.aims),
        "<br>".join(_REACHED[aim.reached(measurement)] for aim in measurement.aims),
    ]
    return f"| {' | '.join(cells)} |"


def _with_medians(outcome: Outcome) -> dict[str, Any]:
    found = asdict(outcome)
    for shown, measurement in zip(found["measurements"], outcome.measurements, strict=True):
        shown["median"] = measurement.median
        shown["ratios"] = {name: measurement.ratio(name) for name in measurement.references}
        for aim, each in zip(shown["aims"], measurement.aims, strict=True):
            aim["here"] = each.here(measurement)
            aim["reached"] = each.reached(measurement)
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200].replace("|", "/")
