"""Writes the generated files, each from its one source; with `--check` only tells which have drifted.

Run as `python -m tools.generate [--check]`; exits 1 when a file has drifted.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from services.api import openapi
from tools.diagrams import diagrams
from tools.settings_table import settings_table

ROOT = Path(__file__).parent.parent

GENERATED: dict[str, Callable[[], str]] = {
    **diagrams(),
    "docs/settings.md": settings_table,
    "schemas/openapi-api.json": openapi.text,
}


def main(arguments: list[str]) -> int:
    drifted = [name for name, make in GENERATED.items() if not _holds(ROOT / name, make())]
    if "--check" in arguments:
        for name in drifted:
            print(f"{name}: has drifted from its source; run `make generate`")
        return 1 if drifted else 0
    for name in drifted:
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GENERATED[name](), encoding="utf-8")
        print(f"wrote {name}")
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
