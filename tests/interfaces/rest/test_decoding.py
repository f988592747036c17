"""Large bodies are decoded a few at a time, and are gone when they have been answered."""

import json
from pathlib import Path

import anyio
import pytest

from interfaces.rest.decoding import SMALL_BODY_BYTES, Decoding
from interfaces.rest.requests import MAX_CONTAINERS
from tests.harness import service, service_process, settings_in

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
ASKED = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 1}
LARGE = SMALL_BODY_BYTES + 1


async def test_a_large_body_waits_for_room_and_a_small_one_does_not() -> None:
    decoding = Decoding(2 * LARGE)
    entered: list[str] = []

    async def enter(name: str, size: int) -> None:
        await decoding.enter(size)
        entered.append(name)

    assert await decoding.enter(LARGE) == LARGE
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(enter, "larger", 2 * LARGE)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(enter, "later", LARGE)
        assert await decoding.enter(SMALL_BODY_BYTES) == 0
        await anyio.wait_all_tasks_blocked()
        assert entered == []
        decoding.leave(LARGE)
        await anyio.wait_all_tasks_blocked()
        assert entered == ["larger"]
        decoding.leave(2 * LARGE)
    assert entered == ["larger", "later"]


async def test_who_hangs_up_while_waiting_leaves_the_room_to_others() -> None:
    decoding = Decoding(2 * LARGE)
    await decoding.enter(LARGE)
    with anyio.move_on_after(0.01):
        await decoding.enter(2 * LARGE)
    with anyio.fail_after(5):
        assert await decoding.enter(LARGE) == LARGE


async def test_many_large_bodies_at_once_take_little_more_than_what_was_sent(tmp_path: Path) -> None:
    many = 40
    body = json.dumps(ASKED | {"payload": {"texts": ["ab"] * 200_000}}, separators=(",", ":")).encode()
    with service_process(tmp_path) as running:
        before = peak_bytes(running.pid)
        async with running.async_client(**{"Content-Type": "application/json"}) as client:

            async def send() -> None:
                refused = await client.post(APPROVALS, content=body, timeout=60)
                assert "must be at most 65536 bytes" in refused.text

            async with anyio.create_task_group() as tasks:
                for _ in range(many):
                    tasks.start_soon(send)
            assert (await client.post(APPROVALS, json=ASKED)).status_code == 201
        assert peak_bytes(running.pid) - before < many * 5 * len(body)


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had so far."""
    (line,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024


async def test_a_body_has_so_many_objects_and_arrays_and_as_many_brackets_in_texts_as_it_likes(
    tmp_path: Path,
) -> None:
    async with service(settings_in(tmp_path)) as running, running.client() as client:
        containers: tuple[object, ...] = ([[]] * MAX_CONTAINERS, [{}] * MAX_CONTAINERS)
        for much in containers:
            refused = await client.post(APPROVALS, json=ASKED | {"payload": {"x": much}})
            assert refused.status_code == 400
            assert f"body: must have at most {MAX_CONTAINERS} objects and arrays" in refused.text
        written = {"x": '"\\[{' * (MAX_CONTAINERS // 8), "y": "[" * MAX_CONTAINERS}
        answer = await client.post(APPROVALS, json=ASKED | {"payload": {"y": written["y"]}})
        assert answer.status_code == 201
        answer = await client.post(APPROVALS, json=ASKED | {"payload": written})
        assert "must be at most 65536 bytes" in answer.text
