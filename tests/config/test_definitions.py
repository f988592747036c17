"""The definitions that come with the service, and a start with bad ones."""

from pathlib import Path

import pytest

from config.definitions import platform_wire_types, shipped_definitions
from config.settings import load_settings
from config.start import CannotStart
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.expressions import holds
from interfaces.definitions.shipped import read_folder, shipped_folder

WORKFLOWS = load_settings(environ={}).workflows
FOLDER = Path(__file__).parents[2] / "definitions"


def test_the_document_of_opportunity_analysis_is_what_the_code_has() -> None:
    by_name = {each.name: each for each in read_folder(shipped_folder())}
    assert by_name["opportunity-analysis"] == OPPORTUNITY_ANALYSIS


def test_every_document_that_is_there_is_shipped() -> None:
    names = {each.name for each in shipped_definitions(WORKFLOWS)}
    assert names == {path.stem for path in FOLDER.iterdir()}
    assert "deal-review" in names


def test_how_long_the_steps_of_opportunity_analysis_wait_is_a_setting_and_the_others_say_it_themselves(
    tmp_path: Path,
) -> None:
    overlay = tmp_path / "settings.yaml"
    overlay.write_text("workflows: {step_timeout_seconds: 60, step_timeouts: {forecast: 5}}")
    chosen = {each.name: each for each in shipped_definitions(load_settings(overlay, {}).workflows)}
    timeouts = {step.step_type: step.timeout_seconds for step in chosen["opportunity-analysis"].steps}
    assert timeouts == {"risk_analysis": 60, "risk_scoring": 60, "forecast": 5, "recommendation": 60}
    written = {each.name: each for each in read_folder(FOLDER)}
    assert chosen["deal-review"] == written["deal-review"]


@pytest.mark.parametrize(
    ("result", "amount", "is_asked"),
    [
        ({"riskScore": 0.7}, 250_000, False),
        ({"riskScore": 0.71}, 1, True),
        ({"riskScore": 0.1}, 250_001, True),
        ({}, 1, True),
        ({"riskScore": None}, 1, True),
        (None, 1, True),
    ],
)
def test_a_deal_is_released_unasked_only_where_its_risk_is_known(
    result: object, amount: int, is_asked: bool
) -> None:
    review = next(each for each in read_folder(FOLDER) if each.name == "deal-review")
    approval = next(step for step in review.steps if step.step_type == "approval")
    assert approval.when is not None
    assert holds(approval.when, {"input": {"amount": amount}, "results": {"score": result}}) is is_asked


def test_a_bad_document_keeps_the_service_from_starting_and_every_fault_of_all_is_told(
    tmp_path: Path,
) -> None:
    good = (FOLDER / "opportunity-analysis.yaml").read_text()
    (tmp_path / "opportunity-analysis.yaml").write_text(good)
    (tmp_path / "other.yaml").write_text(good.replace("opportunity-analysis", "another"))
    (tmp_path / "bad.yaml").write_text("name: bad\nsteps:\n- {stepType: a, after: [b], kind: magic}\n")
    (tmp_path / "broken.yaml").write_text("name: [")
    (tmp_path / "list.yaml").write_text("[]")
    (tmp_path / "README.md").write_text("not a definition")
    with pytest.raises(CannotStart) as refused:
        shipped_definitions(WORKFLOWS, tmp_path)
    lines = str(refused.value).splitlines()
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        "bad.yaml",
        "bad.yaml",
        "broken.yaml",
        "list.yaml",
        "other.yaml",
    ]
    assert "steps[0].after[0]: there is no step b" in str(refused.value)
    assert "steps[0].kind: magic" in str(refused.value)


def test_without_opportunity_analysis_or_a_folder_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="opportunity-analysis is missing"):
        shipped_definitions(WORKFLOWS, tmp_path)
    with pytest.raises(CannotStart, match="cannot be read"):
        shipped_definitions(WORKFLOWS, tmp_path / "nowhere")


def test_the_types_of_the_platform_s_own_messages_besides_those_of_the_contract(
    tmp_path: Path,
) -> None:
    overlay = tmp_path / "settings.yaml"
    overlay.write_text(
        "rabbitmq:\n"
        "  type_aliases:\n"
        "    workflow.job.completed: jobs.done\n"
        "    shard.updated: data.shard.updated\n"
        "    workflow.risk.analysis.requested: risk.analysis.wanted\n"
        "    hitl.approval.completed: hitl.approval.completed\n"
        "batch_jobs:\n"
        "  jobs:\n"
        "    invoices: {cron: 0 6 * * *, message_type: invoices.wanted}\n"
        "    payments: {cron: 0 7 * * *}\n"
    )
    found = platform_wire_types(load_settings(overlay, {}))
    assert found == {"jobs.done", "data.shard.updated", "invoices.wanted"}
    assert platform_wire_types(load_settings(environ={})) == frozenset()
