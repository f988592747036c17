"""What is written down of a run, whatever became of it."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.compare import compared, merged
from benchmarks.harness import Aim, Measurement, Options
from benchmarks.programs import PROGRAMS, Outcome, run_program
from benchmarks.report import plot, table, write

FIGURES = Measurement(
    "work.fast",
    "Work & more",
    "1/s",
    [90.0, 100.0, 110.0],
    {"bare": [400.0, 500.0, 600.0]},
    [Aim("at least", 0.5, "bare"), Aim("at least", 50)],
)


def program(monkeypatch: pytest.MonkeyPatch, name: str, run: object) -> None:
    module = ModuleType(f"benchmarks.{name}")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"benchmarks.{name}", module)


def test_a_program_that_fails_is_recorded_and_its_reason_is_in_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(options: Options) -> list[Measurement]:
        raise RuntimeError("no | luck\nat all")

    program(monkeypatch, "unlucky", run)

    outcome = run_program("unlucky", Options())

    assert outcome.error == "RuntimeError: no | luck\nat all"
    assert "| unlucky | **failed** | | | RuntimeError: no / luck at all | |" in table([outcome])


def test_what_is_missing_on_this_machine_fails_its_program_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(options: Options) -> list[Measurement]:
        pytest.skip("RabbitMQ IS MISSING")

    program(monkeypatch, "without", run)

    assert "RabbitMQ IS MISSING" in str(run_program("without", Options()).error)


def test_every_listed_program_can_be_loaded_and_run() -> None:
    for name in PROGRAMS:
        module = __import__(f"benchmarks.{name}", fromlist=["run"])
        assert callable(module.run)
        assert module.__doc__


def test_a_row_tells_medians_ratio_and_whether_the_aims_are_reached() -> None:
    row = table([Outcome("work", 1.0, [FIGURES])]).splitlines()[-1]

    assert row == (
        "| Work & more | 100 (90 to 110) 1/s | bare: 500 (400 to 600) | 0.20"
        " | at least 0.5 × bare<br>at least 50 1/s | **no**<br>yes |"
    )


def test_results_are_kept_as_json_markdown_and_plots_and_old_plots_go(tmp_path: Path) -> None:
    (tmp_path / "gone.svg").write_text("old")

    write(
        [Outcome("work", 1.0, [FIGURES]), Outcome("other", 0.1, error="E: x")],
        Options(),
        tmp_path,
        load="0.1",
    )

    found = json.loads((tmp_path / "latest.json").read_text())
    kept = found["programs"][0]["measurements"][0]
    assert kept["ours"] == [90.0, 100.0, 110.0]
    assert (kept["median"], kept["ratios"]) == (100.0, {"bare": 0.2})
    assert [aim["reached"] for aim in kept["aims"]] == [False, True]
    assert found["programs"][1]["error"] == "E: x"
    assert found["machine"]["cores"]
    assert found["machine"]["load before"] == "0.1"
    assert found["versions"]["eventsourcing"]
    assert "![Work & more](work.fast.svg)" in (tmp_path / "latest.md").read_text()
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == ["work.fast.svg"]


def test_a_plot_is_well_formed_and_has_a_bar_for_each_side() -> None:
    drawn = ElementTree.fromstring(plot(FIGURES))

    assert len(drawn.findall("{http://www.w3.org/2000/svg}rect")) == 2


def test_rounds_of_a_comparison_become_one_measurement() -> None:
    first, second = (Outcome("w", 1, [Measurement("w", "W", "1/s", [figure])]) for figure in (1.0, 2.0))

    assert merged([first, second])["w"].ours == [1.0, 2.0]


def test_two_trees_are_compared_without_references_and_apart_only_where_no_round_overlaps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Path("/before")
    figures = {
        "fast": iter([10.0, 21.0, 22.0, 11.0, 12.0, 23.0]),
        "same": iter([10.0, 9.0, 12.0, 10.5, 11.0, 12.0]),
    }

    def run(options: Options) -> list[Measurement]:
        assert (options.rounds, options.with_references) == (1, False)
        return [Measurement(work, work, "1/s", [next(each)]) for work, each in figures.items()]

    program(monkeypatch, "both", run)

    rows = compared("both", Options(rounds=3), before)

    assert rows == [
        "| fast | 11 (10 to 12) | 22 (21 to 23) 1/s | 2.00 | better |",
        "| same | 10.5 (10 to 11) | 12 (9 to 12) 1/s | 1.14 | within spread |",
    ]
