"""The flow chart: what comes after what, and no label that breaks out of its own."""

from hypothesis import given, settings
from hypothesis import strategies as st

from interfaces.definitions.graph import escaped, mermaid
from interfaces.definitions.reader import read_definition
from tests.definitions import document, step


def test_steps_are_nodes_and_after_and_when_are_lines() -> None:
    definition = read_definition(
        document(
            step("score", critical=True),
            step("end", "score", kind="approval", when="results.score.risk > `0.7`"),
            step("wait_a_week", "end", kind="wait", parameters={"seconds": 604_800}),
            step(
                "each",
                "score",
                kind="map",
                map={"over": "input.lines", "each": {"kind": "task", "parameters": {"queue": "q"}}},
                compensation={"parameters": {"request": "undo.it"}},
            ),
        )
    )
    assert mermaid(definition).splitlines() == [
        "flowchart TD",
        '  s0["score<br/>event, critical"]',
        '  s1{{"end<br/>approval"}}',
        '  s2(["wait_a_week<br/>wait"])',
        '  s3[["each<br/>map, task for each of input.lines"]]',
        '  s0 -->|"results.score.risk #62; #96;0.7#96;"| s1',
        "  s1 --> s2",
        "  s0 --> s3",
        '  s3c["each undone<br/>event"]',
        "  s3 -.-> s3c",
    ]


def test_a_first_step_with_a_condition_shows_it() -> None:
    chart = mermaid(read_definition(document(step("a", when="input.a"))))
    assert '  s0w(("start")) -->|"input.a"| s0' in chart.splitlines()


@settings(deadline=None)
@given(st.text())
def test_a_label_holds_nothing_that_means_something_to_mermaid_or_html(text: str) -> None:
    assert set(escaped(text)).isdisjoint("\"'`<>&|[]{}()%\n\r\\/=")
