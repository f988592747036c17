"""When a neighbour is left alone, and when it is asked again."""

import pytest

from application.circuit_breaker import Admission, CircuitBreaker, Circuits


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> CircuitBreaker:
    return CircuitBreaker(failures=3, open_seconds=10, now=time)


def state(breaker: CircuitBreaker) -> str:
    return breaker.state


def admitted(breaker: CircuitBreaker) -> Admission:
    admission = breaker.admit()
    assert admission is not None
    return admission


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        admitted(breaker).end(answered=False)


def test_it_opens_after_so_many_failures_in_a_row(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    assert state(breaker) == "closed"
    fail(breaker, 1)
    assert state(breaker) == "open"
    assert breaker.admit() is None
    assert breaker.seconds_left == 10


def test_an_answer_in_between_begins_the_count_anew(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    admitted(breaker).end(answered=True)
    fail(breaker, 2)
    assert state(breaker) == "closed"


def test_a_call_that_was_broken_off_counts_as_nothing(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    admitted(breaker).end()
    assert state(breaker) == "closed"
    fail(breaker, 1)
    assert state(breaker) == "open"


def test_only_the_first_word_about_a_call_counts(breaker: CircuitBreaker) -> None:
    admission = admitted(breaker)
    for _ in range(5):
        admission.end(answered=False)
    assert state(breaker) == "closed"


def test_after_a_while_one_may_probe(breaker: CircuitBreaker, time: Time) -> None:
    fail(breaker, 3)
    time.seconds += 9.9
    assert breaker.admit() is None
    time.seconds += 0.1
    assert state(breaker) == "half_open"
    admitted(breaker)
    assert breaker.admit() is None
    assert state(breaker) == "half_open"


def test_a_probe_that_is_answered_closes_it(breaker: CircuitBreaker, time: Time) -> None:
    fail(breaker, 3)
    time.seconds += 10
    admitted(breaker).end(answered=True)
    assert state(breaker) == "closed"
    assert breaker.seconds_left == 0
    fail(breaker, 2)
    assert state(breaker) == "closed"


def test_a_probe_that_is_broken_off_tells_nothing_and_another_may_follow(
    breaker: CircuitBreaker, time: Time
) -> None:
    fail(breaker, 3)
    time.seconds += 10
    for _ in range(5):
        admitted(breaker).end()
        assert state(breaker) == "half_open"
    admitted(breaker).end(answered=True)
    assert state(breaker) == "closed"


def test_a_probe_without_an_answer_opens_it_again(breaker: CircuitBreaker, time: Time) -> None:
    fail(breaker, 3)
    time.seconds += 10
    admitted(breaker).end(answered=False)
    assert state(breaker) == "open"
    assert breaker.seconds_left == 10
    time.seconds += 10
    admitted(breaker)


def test_who_was_admitted_before_it_opened_changes_nothing_afterwards(
    breaker: CircuitBreaker, time: Time
) -> None:
    late = [admitted(breaker) for _ in range(3)]
    fail(breaker, 3)
    time.seconds += 5
    late[0].end(answered=False)
    late[1].end(answered=True)
    assert state(breaker) == "open"
    assert breaker.seconds_left == 5
    time.seconds += 5
    probe = admitted(breaker)
    late[2].end(answered=True)
    assert breaker.admit() is None
    probe.end(answered=True)
    assert state(breaker) == "closed"


def test_each_tenant_has_its_own_circuit_to_a_service_and_the_worst_is_told(time: Time) -> None:
    circuits = Circuits(["a", "b"], failures=3, open_seconds=10, now=time)
    of_ann, of_bob = circuits.to("a", "ann"), circuits.to("a", "bob")
    assert of_ann is not None
    assert of_bob is not None
    assert circuits.to("a", "ann") is of_ann
    assert circuits.to("c", "ann") is None
    fail(of_ann, 3)
    assert of_bob.admit() is not None
    assert circuits.states() == {"a": "open", "b": "closed"}
    time.seconds += 10
    assert circuits.states() == {"a": "half_open", "b": "closed"}


def test_of_many_tenants_circuits_those_that_are_closed_are_forgotten(time: Time) -> None:
    circuits = Circuits(["a"], failures=1, open_seconds=10, now=time)
    first = circuits.to("a", "first")
    assert first is not None
    fail(first, 1)
    for number in range(25_000):
        circuits.to("a", str(number))
    assert circuits.to("a", "first") is first
    assert circuits.states() == {"a": "open"}
