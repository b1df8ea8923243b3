"""The house rules see what they are for."""

from pathlib import Path

import pytest

from tools import house


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(house, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("x\n" * 401, "more than 400 lines"),
        ("--extra-ind" + "ex-url https://packages.example/simple", "package registry"),
        ("see https://files." + "pythonhosted.org/x", "package registry"),
        ("data = '/ho" + "me/ann/data'", "one machine"),
        ("@pytest.mark." + "skip", "skipped test"),
    ],
)
def test_a_breach_is_found(tree: Path, text: str, rule: str) -> None:
    (tree / "file.py").write_text(text)
    [found] = house.breaches(tree / "file.py")
    assert rule in found


def test_locks_may_be_long_and_pictures_are_not_read(tree: Path) -> None:
    (tree / "requirements-dev.txt").write_text("x\n" * 401)
    (tree / "logo.png").write_bytes(b"\x89PNG\xff")
    assert not [*house.breaches(tree / "requirements-dev.txt"), *house.breaches(tree / "logo.png")]
