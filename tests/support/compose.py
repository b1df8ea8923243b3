"""docker-compose.yml as Docker Compose reads it: anchors merged, `${…}` filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")


def compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file's services by name. Raises `KeyError` with the file's message for a variable that it requires."""

    def fill(match: re.Match[str]) -> str:
        value = environment.get(match["name"], "")
        if not value and match["kind"] == "?":
            raise KeyError(match["word"])
        return value or (match["word"] or "" if match["kind"] == "-" else value)

    text = "\n".join(
        line if line.lstrip().startswith("#") else _VARIABLE.sub(fill, line)
        for line in (ROOT / "docker-compose.yml").read_text().splitlines()
    )
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services
