"""The built-in plan, and the timeouts that settings give it."""

from domain.definition import DEFAULT_STEP_TIMEOUT_SECONDS, OPPORTUNITY_ANALYSIS


def test_the_opportunity_analysis_is_the_one_of_the_wire_contract() -> None:
    assert [
        (step.step_type, step.parameters["request"], step.result_key, step.critical)
        for step in OPPORTUNITY_ANALYSIS.steps
    ] == [
        ("risk_analysis", "workflow.risk.analysis.requested", "risk", True),
        ("risk_scoring", "workflow.risk.scoring.requested", "scoring", False),
        ("forecast", "workflow.forecast.requested", "forecast", True),
        ("recommendation", "workflow.recommendation.requested", "recommendations", False),
    ]
    assert (OPPORTUNITY_ANALYSIS.name, OPPORTUNITY_ANALYSIS.version) == ("opportunity-analysis", 1)


def test_a_step_waits_a_quarter_of_an_hour_if_nothing_is_said() -> None:
    assert {step.timeout_seconds for step in OPPORTUNITY_ANALYSIS.steps} == {15 * 60}
    assert DEFAULT_STEP_TIMEOUT_SECONDS == 15 * 60


def test_settings_give_every_step_a_timeout_and_some_a_timeout_of_their_own() -> None:
    plan = OPPORTUNITY_ANALYSIS.with_timeouts(60, {"forecast": 7200})
    assert {step.step_type: step.timeout_seconds for step in plan.steps} == {
        "risk_analysis": 60,
        "risk_scoring": 60,
        "forecast": 7200,
        "recommendation": 60,
    }
    assert [step.step_type for step in plan.steps] == [step.step_type for step in OPPORTUNITY_ANALYSIS.steps]
