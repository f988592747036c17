"""The built-in plan, and the timeouts that settings give it."""

from datetime import timedelta

from domain.definition import DEFAULT_STEP_TIMEOUT, OPPORTUNITY_ANALYSIS


def test_the_opportunity_analysis_is_the_one_of_the_wire_contract() -> None:
    assert [
        (step.step_type, step.request_type, step.result_key, step.critical)
        for step in OPPORTUNITY_ANALYSIS.steps
    ] == [
        ("risk_analysis", "workflow.risk.analysis.requested", "risk", True),
        ("risk_scoring", "workflow.risk.scoring.requested", "scoring", False),
        ("forecast", "workflow.forecast.requested", "forecast", True),
        ("recommendation", "workflow.recommendation.requested", "recommendations", False),
    ]
    assert (OPPORTUNITY_ANALYSIS.name, OPPORTUNITY_ANALYSIS.version) == ("opportunity-analysis", 1)


def test_a_step_waits_a_quarter_of_an_hour_if_nothing_is_said() -> None:
    assert {step.timeout for step in OPPORTUNITY_ANALYSIS.steps} == {timedelta(minutes=15)}
    assert timedelta(minutes=15) == DEFAULT_STEP_TIMEOUT


def test_settings_give_every_step_a_timeout_and_some_a_timeout_of_their_own() -> None:
    plan = OPPORTUNITY_ANALYSIS.with_timeouts(timedelta(minutes=1), {"forecast": timedelta(hours=2)})
    assert {step.step_type: step.timeout for step in plan.steps} == {
        "risk_analysis": timedelta(minutes=1),
        "risk_scoring": timedelta(minutes=1),
        "forecast": timedelta(hours=2),
        "recommendation": timedelta(minutes=1),
    }
    assert [step.step_type for step in plan.steps] == [step.step_type for step in OPPORTUNITY_ANALYSIS.steps]
