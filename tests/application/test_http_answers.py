"""What a neighbour's answer means for the step, and for whether it is left alone."""

from typing import Any

import pytest

from application.http_answers import Failed, StillAtIt, Succeeded, Verdict, is_there, verdict_on
from application.ports import BadAnswer, HttpAnswer, NoAnswer


def verdict(status: int, body: bytes = b"", *, may_accept: bool = False, **more: Any) -> Verdict:
    return verdict_on(HttpAnswer(status=status, body=body, **more), "forecasting", may_accept=may_accept)


@pytest.mark.parametrize("status", [200, 201, 202, 206, 299])
def test_what_a_success_says_is_the_result(status: int) -> None:
    assert verdict(status, b'{"a": [1, 2.5, null]}') == Succeeded({"a": [1, 2.5, None]})


@pytest.mark.parametrize("body", [b"[1]", b"7", b'"x"', b"null", b"false"])
def test_a_result_need_not_be_an_object(body: bytes) -> None:
    assert isinstance(verdict(200, body), Succeeded)


@pytest.mark.parametrize("body", [b"", b" \r\n "])
def test_without_a_body_the_result_is_null(body: bytes) -> None:
    assert verdict(204, body) == Succeeded(None)


def test_a_202_is_the_end_unless_the_definition_says_that_it_is_not() -> None:
    assert verdict(202, b'{"a": 1}') == Succeeded({"a": 1})
    assert verdict(202, b'{"a": 1}', may_accept=True) == StillAtIt()
    assert verdict(200, b'{"a": 1}', may_accept=True) == Succeeded({"a": 1})


@pytest.mark.parametrize(
    "body", [b"<html></html>", b'{"a":', b"\xff", b"NaN", b"1e999", b"{} {}", b"[" * 70_000]
)
def test_a_success_that_is_not_json_is_rejected(body: bytes) -> None:
    found = verdict(200, body)
    assert isinstance(found, Failed)
    assert found.reason == "rejected"
    assert len(found.error) < 600


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"summary": "cut within \\ud83d"}', {"summary": "cut within \ufffd"}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
    ],
    ids=["byte order mark", "half a character", "a whole one"],
)
def test_a_result_is_read_as_a_message_is(body: bytes, result: Any) -> None:
    assert verdict(200, body) == Succeeded(result)


def test_an_errors_message_is_read_as_a_message_is() -> None:
    said = b'\xef\xbb\xbf{"message": "cut within \\uD83D"}'
    assert verdict(404, said) == Failed("rejected", "forecasting answered 404: cut within \ufffd")


def test_a_result_is_not_nested_deeper_than_others_can_read() -> None:
    assert isinstance(verdict(200, b"[" * 64 + b"]" * 64), Succeeded)
    assert verdict(200, b"[" * 65 + b"]" * 65) == Failed(
        "rejected", "forecasting answered with JSON nested deeper than 64 levels"
    )


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
def test_what_may_be_better_later_is_unavailable(status: int) -> None:
    assert verdict(status) == Failed("unavailable", f"forecasting answered {status}")


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 409, 410, 413, 422, 451])
def test_what_will_not_be_better_is_rejected(status: int) -> None:
    assert verdict(status) == Failed("rejected", f"forecasting answered {status}")


def test_an_error_tells_when_to_come_again() -> None:
    found = verdict(429, b"slow down", retry_after="30")
    assert found == Failed("unavailable", "forecasting answered 429 with Retry-After 30: slow down")


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"code": "X", "message": "no such thing"}}',
        b'{"message": "no such thing"}',
        b'{"error": "no such thing"}',
        b'{"detail": "no such thing"}',
        b"no such\n  thing",
    ],
)
def test_an_errors_message_is_found(body: bytes) -> None:
    assert verdict(404, body) == Failed("rejected", "forecasting answered 404: no such thing")


def test_of_an_errors_message_500_characters_are_kept() -> None:
    found = verdict(400, b"x" * 5000)
    assert isinstance(found, Failed)
    assert found.error == "forecasting answered 400: " + "x" * 500


def test_an_errors_message_holds_no_control_characters() -> None:
    found = verdict(400, b"a\x1b[31m\x00b\r\nc")
    assert found == Failed("rejected", "forecasting answered 400: a[31mb c")


def test_no_answer_is_unavailable_and_a_bad_one_is_rejected() -> None:
    gone = verdict_on(NoAnswer("no answer within 30 s"), "forecasting", may_accept=True)
    assert gone == Failed("unavailable", "forecasting: no answer within 30 s")
    assert verdict_on(BadAnswer("too long"), "forecasting", may_accept=True) == Failed(
        "rejected", "forecasting: too long"
    )


@pytest.mark.parametrize("status", [200, 302, 400, 404, 408, 429, 500, 501])
def test_who_answers_is_there(status: int) -> None:
    assert is_there(HttpAnswer(status=status))


@pytest.mark.parametrize("answer", [NoAnswer("gone"), *(HttpAnswer(status=each) for each in (502, 503, 504))])
def test_who_does_not_answer_is_not(answer: HttpAnswer | NoAnswer) -> None:
    assert not is_there(answer)


def test_why_there_was_none_is_told_in_few_words() -> None:
    long = verdict_on(NoAnswer("illegal status line: \x00\n" + "x" * 5000), "forecasting", may_accept=False)
    assert isinstance(long, Failed)
    assert long.error.startswith("forecasting: illegal status line: xxx")
    assert len(long.error) < 520


def test_a_bad_answer_is_one() -> None:
    assert is_there(BadAnswer("too long"))
