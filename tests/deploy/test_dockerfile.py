"""The Dockerfile, as far as it can be judged by reading; what it makes is tried out in ``test_image``."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.deploy.dockerfile import FILE, copied, environment, let_through, named, only, stages
from tests.deploy.files import KNOWN, OPENAPI, PORT, ROOT, image_user, seconds
from tests.services import missing

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD, FINAL = stages()


def hadolint() -> str:
    """The linter, installed with the tests where there is one for the machine."""
    found = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if found is None:
        missing("hadolint")
    return found


def test_the_linter_has_nothing_to_say() -> None:
    linted = subprocess.run([hadolint(), "--no-color", str(FILE)], capture_output=True, text=True)
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


def test_the_linter_would_say_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nRUN cd /tmp && pip install requests\n")
    assert subprocess.run([hadolint(), str(bad)], capture_output=True).returncode == 1


def test_the_base_is_pinned_to_a_release_of_a_python_that_the_project_takes() -> None:
    bases = {only(stage, "FROM").text.partition(" AS ")[0] for stage in (BUILD, FINAL)}
    (base,) = bases
    found = re.fullmatch(r"python:(\d+\.\d+\.\d+)-slim-bookworm", base)
    assert found, base
    assert found[1] in SpecifierSet(PROJECT["project"]["requires-python"])


def test_what_is_copied_is_there_and_is_let_through() -> None:
    sources = [source.rstrip("/") for stage in (BUILD, FINAL) for source, _ in copied(stage)]
    assert all((ROOT / source).exists() for source in sources)
    assert let_through(sources) == sources


def test_every_package_of_the_wheel_and_every_file_that_it_needs_is_copied() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], PROJECT["project"]["readme"], "pyproject.toml"}
    assert needed <= {source.rstrip("/") for source, _ in copied(BUILD)}
    assert all(target.rstrip("/") in (source.rstrip("/"), ".") for source, target in copied(BUILD))


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "deploy/.env",
        ".git/config",
        ".venv/bin/python",
        "data/events.db",
        "tests/conftest.py",
        "domain/__pycache__/errors.cpython-311.pyc",
        "deploy/kubernetes/secrets.example.yaml",
    ],
)
def test_nothing_else_goes_to_the_builder(path: str) -> None:
    assert let_through([path]) == []


def test_libraries_come_by_their_hashes_and_none_is_built() -> None:
    installs = [
        part
        for run in named(BUILD, "RUN")
        for part in run.text.split("&&")
        if " install " in part and "requirements" in part
    ]
    assert len(installs) == 2
    assert all("--require-hashes" in part and "--only-binary :all:" in part for part in installs)


def test_it_runs_as_a_number_that_is_not_root() -> None:
    assert re.fullmatch(r"\d+:\d+", only(FINAL, "USER").text)
    assert image_user() >= 10_000


def test_it_is_told_to_stop_as_the_service_expects_and_begins_without_a_shell() -> None:
    assert only(FINAL, "STOPSIGNAL").text == "SIGTERM"
    assert only(FINAL, "ENTRYPOINT").listed() == [*PROJECT["project"]["scripts"]]
    assert only(FINAL, "CMD").listed() == ["serve"]


def test_the_health_check_asks_a_route_of_the_contract_and_waits_for_a_start() -> None:
    check = only(FINAL, "HEALTHCHECK").text
    assert "/opt/healthcheck.py" in only(FINAL, "HEALTHCHECK").listed()
    assert '"/health"' in (ROOT / "deploy" / "healthcheck.py").read_text()
    assert "get" in OPENAPI["paths"]["/health"]
    waits = dict(re.findall(r"--([\w-]+)=(\S+)", check))
    assert seconds(waits["start-period"]) > 120
    assert seconds(waits["timeout"]) > 4


def test_it_sets_what_the_service_knows_and_no_secret() -> None:
    set_here = environment(FINAL)
    ours = set_here.keys() - {"PATH"} - {name for name in set_here if name.startswith("PYTHON")}
    assert ours <= KNOWN
    assert ours.isdisjoint({"JWT_SECRET", "COSMOS_DB_KEY", "EVENT_STORE_URL", "RABBITMQ_URL", "AUTH_MODE"})
    assert not any(re.search("secret|password|token|key", each.text, re.I) for each in named(FINAL, "ARG"))
    assert (set_here["PORT"], only(FINAL, "EXPOSE").text) == (str(PORT), str(PORT))
    assert set_here["DATA_DIR"] == only(FINAL, "VOLUME").text == "/data"
    assert set_here["PYTHONDONTWRITEBYTECODE"] == "1"


def test_it_says_which_release_it_is() -> None:
    labels = only(FINAL, "LABEL").pairs()
    arguments = {name: value for each in named(FINAL, "ARG") for name, value in each.pairs().items()}
    assert labels["org.opencontainers.image.title"] == PROJECT["project"]["name"]
    assert labels["org.opencontainers.image.version"] == "${VERSION}"
    assert arguments["VERSION"] == PROJECT["project"]["version"]
    assert labels["org.opencontainers.image.revision"] == "${REVISION}"
