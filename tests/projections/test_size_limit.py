"""What is left out of a document that would be too large for its store."""

import json
from typing import Any

import pytest

from projections.size_limit import MOST_BYTES, encoded_within_limit


def shortened(body: dict[str, Any]) -> Any:
    encoded = encoded_within_limit(body)
    assert len(json.dumps(json.loads(encoded))) <= MOST_BYTES * 1.01
    return json.loads(encoded)


def test_a_document_of_the_usual_size_is_as_it_was() -> None:
    body = {"id": "w-1", "result": {"text": "x" * (MOST_BYTES // 2)}, "steps": [{"result": "é" * 1000}]}
    assert shortened(body) == body


def test_the_largest_parts_are_left_out_and_no_more_than_must_be() -> None:
    body = {
        "id": "w-1",
        "status": "running",
        "input": {"a": "x" * 10},
        "steps": [
            {"stepId": "s-1", "result": "x" * 1_500_000},
            {"stepId": "s-2", "result": ["x"] * 400_000},
            {"stepId": "s-3", "result": {"score": 1}},
        ],
    }
    before = json.dumps(body)
    expected = json.loads(before)
    expected["steps"][1]["result"] = {"omittedBytes": 1_600_001}
    assert shortened(body) == expected
    assert json.dumps(body) == before, "the fold goes on with what it had"


def test_of_a_long_text_the_beginning_is_kept() -> None:
    kept = shortened({"id": "w-1", "error": "no " * MOST_BYTES, "results": {}})
    assert kept == {"id": "w-1", "error": ("no " * 334)[:1000] + "…", "results": {}}


@pytest.mark.parametrize(
    ("character", "most"), [("x", MOST_BYTES), ("é", MOST_BYTES // 6), ("😀", MOST_BYTES // 12)]
)
def test_it_is_measured_as_it_is_sent(character: str, most: int) -> None:
    fits = {"result": character * (most - 20)}
    assert shortened(fits) == fits
    assert shortened({"result": character * (most + 20)}) != {"result": character * (most + 20)}
