"""What the pages name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("journey", "plumbing", "schemas", "services", "jalon", "tools", "tests", "docs", "deploy")
FILES = [path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`([\w./-]+\.(?:py|yaml|yml|toml|json|md|txt))`", page.read_text())
    known = [*FILES, *(path.name for path in ROOT.iterdir())]
    assert not [name for name in named if not any(file == name or file.endswith(f"/{name}") for file in known)]
