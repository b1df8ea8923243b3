"""docs/settings.md, from the fields of `plumbing.settings.Settings`."""

import json
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from plumbing.settings import Settings

HEAD = """\
# Settings

Generated from `plumbing/settings.py` by `make generate`.

Every setting is an environment variable. Durations are ISO 8601 (`PT5S`) or seconds (`5`). In brackets: what counts
where it is empty.

| variable | default | meaning |
|---|---|---|
"""


def settings_table() -> str:
    """The page, in Markdown."""
    return HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    return f"| `JALON_{name.upper()}` | {_shown(field.default)} | {field.description} |\n"


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default in (None, ""):
        return ""
    if isinstance(default, timedelta):
        return f"`PT{default.total_seconds():g}S`"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"
