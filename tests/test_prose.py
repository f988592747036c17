"""What is written for people can be read as plain text: in a terminal, in a diff."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md"))
)
LONGEST = 120


@pytest.mark.parametrize("name", PAGES)
def test_lines_of_prose_are_not_long(name: str) -> None:
    """Tables and examples cannot be wrapped."""
    is_example = False
    too_long = []
    for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_example = not is_example
        if not is_example and not line.startswith("|") and len(line) > LONGEST:
            too_long.append((number, line))
    assert not too_long


def test_there_are_pages() -> None:
    assert {"README.md", "CHANGELOG.md"} <= set(PAGES)
