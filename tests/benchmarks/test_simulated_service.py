"""The model of ``benchmarks.simulation``, held against what can be reckoned by hand."""

import pytest

from benchmarks.simulated_service import Inputs, Outcome, Plan, simulate

SECONDS = 3.0


def outcome(plan: Plan, **changes: float) -> Outcome:
    """What comes of a plan where nothing costs anything but what ``changes`` says."""
    free = {
        "command_cpu_us": 0.0,
        "batch_cpu_us": 0.0,
        "follower_cpu_us": 0.0,
        "round_trip_us": 0.0,
        "load_us": 0.0,
        "load_stream_us": 0.0,
        "append_us": 0.0,
        "append_event_us": 0.0,
        "publish_rate": 1e6,
        "database_cores": 4,
        "threads": 13,
        "at_once": 100,
        "clients": 64,
    }
    return simulate(Inputs(**(free | changes), leader_apart=True), plan, SECONDS)


def alone(fsync_us: float, instances: int = 1, logs: int = 1) -> Plan:
    return Plan(instances, logs, fsync_us, group_commit=False)


def grouped(fsync_us: float, instances: int = 1, logs: int = 1) -> Plan:
    return Plan(instances, logs, fsync_us, group_commit=True)


def test_one_client_waits_for_the_sum_of_all_that_its_command_takes() -> None:
    found = outcome(
        alone(1_000), clients=1, command_cpu_us=400, batch_cpu_us=100, round_trip_us=500, load_us=200
    )
    assert found.commands_a_second == pytest.approx(1e6 / (400 + 100 + 2 * 500 + 200 + 1_000), rel=0.03)
    assert found.limit == "clients"


@pytest.mark.parametrize("instances", [1, 4])
def test_without_group_commit_the_lock_gives_one_commit_at_a_time_to_all_instances(instances: int) -> None:
    found = outcome(alone(1_900, instances), append_us=100)
    assert found.commands_a_second == pytest.approx(500, rel=0.03)
    assert found.limit == "lock"


def test_a_core_is_the_limit_of_an_instance_and_two_have_two() -> None:
    one, two = (outcome(grouped(0, instances), command_cpu_us=1_000) for instances in (1, 2))
    assert one.commands_a_second == pytest.approx(1_000, rel=0.03)
    assert two.commands_a_second == pytest.approx(2_000, rel=0.03)
    assert one.limit == two.limit == "CPU"


def test_all_that_wait_for_the_one_thread_share_a_commit() -> None:
    found = outcome(grouped(10_000), threads=1, clients=64)
    assert found.commands_a_second == pytest.approx(64 / 2 * 100, rel=0.03), "half wait while half commit"


def test_a_batch_is_no_larger_than_its_bound() -> None:
    found = outcome(grouped(10_000), threads=1, clients=64, at_once=10)
    assert found.commands_a_second == pytest.approx(1_000, rel=0.03)


def test_no_more_is_taken_than_the_outbox_gives_out() -> None:
    found = outcome(grouped(0, 2), command_cpu_us=100, publish_rate=3_000)
    assert found.commands_a_second == pytest.approx(3_000, rel=0.05)
    assert found.limit == "outbox"


def test_a_second_log_is_a_second_lock() -> None:
    found = outcome(alone(2_000, instances=2, logs=2))
    assert found.commands_a_second == pytest.approx(1_000, rel=0.03)
