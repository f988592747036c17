"""Every YAML file of deploy/: its form, and what must nowhere be in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY

FILES = [path for path in DEPLOY.rglob("*") if path.is_file()]
# Put together here, so that this file does not name them itself.
REGISTRIES = [f"{name}.{end}" for name, end in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]


def test_yamllint_has_nothing_to_say() -> None:
    command = [sys.executable, "-m", "yamllint", "--strict", "--config-file", str(DEPLOY / ".yamllint.yaml")]
    linted = subprocess.run([*command, str(DEPLOY)], capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(DEPLOY)) for path in FILES])
def test_no_package_registry_is_named_and_no_image_floats(path: Path) -> None:
    text = path.read_text()
    assert not any(host in text for host in REGISTRIES)
    images = re.findall(r"^\s*(?:-\s+)?(?:image|newTag): *(\S+)$", text, re.M)
    assert all(re.search(r"(^|:)[^:/]*\d[^:/]*$", image) for image in images), images
    assert not any("latest" in image for image in images)
