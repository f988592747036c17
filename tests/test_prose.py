"""What is written for people can be read as plain text: in a terminal, in a diff."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md"))
)
LONGEST = 120
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_EXAMPLE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


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


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """To a file of the project, and where they name a heading, to one that is there."""
    broken = []
    for target in _LINK.findall(_EXAMPLE.sub("", (ROOT / name).read_text())):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        if not page.exists() or (heading and heading not in _headings(page)):
            broken.append(target)
    assert not broken


def _headings(page: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    titles = re.findall(r"^#+ (.+)$", _EXAMPLE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_no_merge_is_left_half_done(name: str) -> None:
    assert not re.findall(r"^(?:<{7} |={7}$|>{7} ).*", (ROOT / name).read_text(), re.MULTILINE)


def test_there_are_pages() -> None:
    assert {"README.md", "CHANGELOG.md"} <= set(PAGES)
