"""`demo` runs to its end, embedded and on a real RabbitMQ, and never passes for the real thing."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.harness import run_command
from tests.neighbours import Names, neighbour
from tests.services import free_port

EVENTS = (
    "workflow.started",
    "workflow.completed",
    "approval.requested",
    "approval.approved",
    "job.fired",
    "job.run_completed",
)


def assert_all_shown(ended: "subprocess.CompletedProcess[str]") -> None:
    """It ended well and showed each event."""
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "SIMULATION" in ended.stdout.splitlines()[0]
    for event in EVENTS:
        assert f" {event} " in ended.stdout, f"{event} is missing:\n{ended.stdout}"
    assert "All three came to their ends." in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_the_demo_runs_to_its_end_embedded(tmp_path: Path) -> None:
    ended = run_command("demo", "--stop-after", DATA_DIR=str(tmp_path), PORT=str(free_port()))
    assert_all_shown(ended)


def test_the_demo_can_be_seen_twice_on_the_same_folder(tmp_path: Path) -> None:
    for _ in range(2):
        ended = run_command("demo", "--stop-after", DATA_DIR=str(tmp_path), PORT=str(free_port()))
        assert_all_shown(ended)


def test_a_demo_on_a_port_in_use_is_refused_with_one_clear_line(tmp_path: Path) -> None:
    port = str(free_port())
    command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        try:
            time.sleep(0.5)
            ended = run_command("demo", "--stop-after", DATA_DIR=str(tmp_path), PORT=port)
        finally:
            other.terminate()
    assert ended.returncode != 0
    (line,) = ended.stderr.strip().splitlines()
    assert port in line


@pytest.mark.anyio
@pytest.mark.rabbitmq
async def test_the_demo_runs_to_its_end_on_rabbitmq_under_configured_names(
    tmp_path: Path, rabbitmq_url: str
) -> None:
    names = Names.fresh()
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(names.overlay()))
    async with neighbour(rabbitmq_url, names) as crm:
        ended = run_command(
            "demo",
            "--stop-after",
            "--config",
            str(config),
            DATA_DIR=str(tmp_path / "data"),
            PORT=str(free_port()),
            RABBITMQ_URL=rabbitmq_url,
        )
        assert_all_shown(ended)
        (completed,) = await crm.expect("workflow.opportunity.analysis.completed")
        assert set(completed["data"]["results"]) == {"risk", "scoring", "forecast", "recommendations"}
        await crm.expect("hitl.approval.completed")
        await crm.expect("workflow.job.trigger")
