"""What the tools cannot see by themselves: that nothing was left off their lists."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from domain.event import Event, type_registry

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOOLS: dict[str, Any] = PROJECT["tool"]
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
LONGEST_MODULE = 400

for _module in (ROOT / "domain").rglob("*.py"):
    import_module(".".join(_module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def modules(*packages: str) -> Iterator[Path]:
    """Every module of the packages."""
    for package in packages:
        yield from (ROOT / package).rglob("*.py")


def layers() -> set[str]:
    """The packages in the layers contract."""
    (contract,) = [each for each in TOOLS["importlinter"]["contracts"] if each["type"] == "layers"]
    return {name.strip() for layer in contract["layers"] for name in layer.split("|")}


def test_there_are_packages_to_speak_of() -> None:
    assert {"domain", "application", "projections", "infrastructure", "interfaces", "config"} <= PACKAGES


def test_every_root_package_goes_into_the_wheel() -> None:
    assert set(TOOLS["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES


def test_import_linter_knows_every_root_package_and_its_layer() -> None:
    assert set(TOOLS["importlinter"]["root_packages"]) == PACKAGES
    assert layers() == PACKAGES


def test_every_root_package_and_the_tests_are_type_checked_strictly() -> None:
    assert set(TOOLS["mypy"]["files"]) == PACKAGES | {"tests", "benchmarks", "deploy"}
    assert TOOLS["mypy"]["strict"] is True


@pytest.mark.parametrize("package", sorted(PACKAGES | {"tests"}))
def test_every_folder_with_modules_is_a_package(package: str) -> None:
    folders = {path.parent for path in modules(package)}
    missing = [folder for folder in folders if not (folder / "__init__.py").exists()]
    assert missing == []


def test_no_module_is_longer_than_one_can_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules(*PACKAGES, "tests")
        if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE
    }
    assert long == {}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_module_says_what_it_is_for(package: str) -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules(package)
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def stored_topics() -> list[str]:
    """The topics that the domain writes into its decorators, as literals."""
    topics = []
    for path in modules("domain"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "stored_as":
                        topic = decorator.args[0]
                        assert isinstance(topic, ast.Constant), f"{node.name}: the topic is computed"
                        topics.append(str(topic.value))
    return topics


def test_every_stored_topic_is_a_literal_and_belongs_to_one_event() -> None:
    topics = stored_topics()
    assert len(topics) == len(set(topics))
    assert set(topics) == set(type_registry)
    assert len(set(type_registry.values())) == len(topics)


def test_every_event_that_is_no_mere_base_is_registered() -> None:
    def leaves(cls: type[Event]) -> Iterator[type[Event]]:
        below = [each for each in cls.__subclasses__() if each.__module__.split(".")[0] in PACKAGES]
        if not below:
            yield cls
        for each in below:
            yield from leaves(each)

    assert set(leaves(Event)) == set(type_registry.values())


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in modules(*PACKAGES)
        if "os.environ" in (text := path.read_text()) or "getenv" in text
    }
    assert all(reader.startswith("config/") for reader in readers), readers


@pytest.mark.parametrize("package", ["domain", "application", "projections"])
def test_the_inside_never_reads_a_clock_or_chance(package: str) -> None:
    forbidden = ("datetime.now", "utcnow", "time.time(", "uuid4", "random.")
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(package)
        for name in forbidden
        if name in path.read_text()
    ]
    assert found == []


def test_only_two_modules_ask_cosmos_for_items_so_that_no_call_lacks_its_partition() -> None:
    """What it asks is seen on the wire in ``test_cosmos_refusals``."""
    calls = ("_item(", "_items(", "_item_batch(", "query_items", "read_all_items", "cross_partition")
    askers = {
        str(path.relative_to(ROOT))
        for path in modules(*PACKAGES)
        if "azure.cosmos" in (text := path.read_text()) and any(call in text for call in calls)
    }
    assert askers == {"infrastructure/cosmos/items.py", "infrastructure/cosmos/threaded.py"}


def test_a_start_loads_no_client_library_of_what_is_not_configured() -> None:
    """They would be over a third of what it takes."""
    clients = {"azure.cosmos", "psycopg", "aio_pika", "faststream"}
    program = f"import sys, config.main, config.runtime; print(*sorted({clients} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True).strip() == ""
