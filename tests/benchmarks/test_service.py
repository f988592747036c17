"""The measured service is the one of the tree that was named."""

from pathlib import Path

import pytest

from benchmarks.harness import HERE
from benchmarks.service import answers, cpu_seconds, prepared_service, resident_mib, running_service


def test_it_runs_the_code_of_the_named_tree_and_starts_again_on_its_data() -> None:
    with prepared_service(HERE) as service:
        service.start()
        assert Path(f"/proc/{service.pid}/cwd").readlink() == HERE
        assert cpu_seconds(service.pid) > 0
        assert resident_mib(service.pid) > 10
        service.stop()
        assert not answers(f"{service.url}/ready")
        service.start()
        assert answers(f"{service.url}/ready")
    assert not answers(f"{service.url}/ready")


def test_a_service_that_cannot_start_is_told_with_its_log() -> None:
    with pytest.raises(RuntimeError, match=r"auth\.mode"), running_service(HERE, {"AUTH_MODE": "nonsense"}):
        pass


def test_a_folder_without_a_service_is_refused_and_not_replaced_by_the_installed_one(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no working tree"), running_service(tmp_path):
        pass
