"""How touchpoint types and channels are called, and under which picture a channel shows."""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from journey.documents import load_yaml
from journey.grammar import Label
from schemas import vocabulary_document

_ICONS = frozenset({
    "ads", "app", "blog", "call_center", "chat", "comparator", "drive", "email", "forum", "mail", "offline_media",
    "partner", "search", "sms", "social", "store", "website", "word_of_mouth",
})  # fmt: skip
"""The symbols of `templates/icons.svg`."""


class Channel(NamedTuple):
    """A channel; `group` (digital, physical, human) gives its colour."""

    label: Label | None
    group: str
    icon: str


@cache
def _document() -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    loaded: Mapping[str, Mapping[str, Mapping[str, object]]] = load_yaml(vocabulary_document())
    return loaded


@cache
def type_labels() -> Mapping[str, Label]:
    """Touchpoint type → label."""
    return {name: _label(entry) for name, entry in _document()["types"].items()}


def channel(name: str) -> Channel:
    """A channel of the vocabulary, or one that the company made up."""
    entry = _document()["channels"].get(name)
    if entry is None:
        return Channel(None, "digital", "other")
    return Channel(_label(entry), str(entry["group"]), name if name in _ICONS else "other")


def channels() -> Mapping[str, Channel]:
    """All channels of the vocabulary."""
    return {name: channel(name) for name in _document()["channels"]}


def _label(entry: Mapping[str, object]) -> Label:
    label = entry["label"]
    assert isinstance(label, dict)
    return Label(**label)
