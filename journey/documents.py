"""YAML as a person means it, and as YAML 1.2 has it: `on`, `off`, `yes` and `no` are words, `01` is a code and not a
number, 12:30 is no fraction of a day, and no key stands twice.
"""

import re
from typing import Any

import yaml
from yaml.composer import Composer

from journey.errors import InvalidDefinition


class _Loader(Composer, yaml.CSafeLoader):
    """YAML 1.1's safe loader without its surprises.

    libyaml reads, which is fast; Python composes, which ends a document that is nested too deep by an error, where
    libyaml's own composer ends the process.
    """

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)


_SURPRISES = {f"tag:yaml.org,2002:{name}" for name in ("bool", "timestamp", "int", "float", "merge", "value")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag not in _SURPRISES]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

_NUMBER = r"^[-+]?(?:0|[1-9][0-9]{0,17})"
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false|True|False)$"), list("tfTF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(_NUMBER + "$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(_NUMBER + r"(?:\.[0-9]{1,32}(?:[eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})$"),
    list("-+0123456789"),
)


def _mapping_without_repeats(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def load_yaml(text: str) -> Any:
    """The plain values of a YAML document.

    Raises `InvalidDefinition` with the line and column of what cannot be read.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with fewer powers
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InvalidDefinition(f"not readable as YAML: {error.problem}{where}") from error
    except RecursionError as error:
        raise InvalidDefinition("not readable as YAML: nested too deep") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidDefinition(f"not readable as YAML: {error}") from error
