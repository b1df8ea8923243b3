"""What just happened, as one line: the same words for the page as it is sent and for the script that adds lines."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from plumbing.store.reading.feed import Message
from services.api.catalogue import Catalogue
from services.api.dashboard.vocabulary import channel, channels, type_labels
from services.api.dashboard.words import said, words_in


class Happened(NamedTuple):
    """A line: whom it is about, where they are now, and why."""

    customer: str
    at: datetime
    journey: str
    stage: str
    reason: str
    cause: str
    group: str
    icon: str
    corrected: bool


def what_happened(message: Message, catalogue: Catalogue, language: str) -> Happened:
    """The line of a message of the feed."""
    said_ = msgspec.json.decode(message.body)
    last = (said_.get("added") or [{}])[-1]
    cause = last.get("cause") or {}
    words = catalogue.journeys.get(message.journey)
    stage = words.stages.get(said_.get("stage_now") or "") if words else None
    where = channel(cause.get("channel", ""))
    by_time = words_in(language)["time_passed"]
    return Happened(
        customer=said_.get("customer", ""),
        at=message.written_at,
        journey=said(words.summary.label, language) if words else message.journey,
        stage=said(stage.label, language) if stage else said_.get("stage_now") or "",
        reason=said(words.rules.get(last.get("rule", "")), language, last.get("rule", "")) if words else "",
        cause=said(type_labels().get(cause["type"]), language, cause["type"]) if "type" in cause else by_time,
        group=where.group,
        icon=where.icon,
        corrected=bool(said_.get("retracted")),
    )


def script_words(catalogue: Catalogue, language: str) -> Mapping[str, Any]:
    """All that the script needs to say the same of the messages that come."""
    text = words_in(language)
    return {
        "lang": language,
        "text": {name: text[name] for name in ("because", "corrected", "time_passed", "live", "not_live")},
        "types": {name: said(label, language) for name, label in type_labels().items()},
        "channels": {name: {"group": one.group, "icon": one.icon} for name, one in channels().items()},
        "journeys": {
            name: {
                "label": said(words.summary.label, language),
                "stages": {stage: said(one.label, language) for stage, one in words.stages.items()},
                "rules": {rule: said(label, language) for rule, label in words.rules.items()},
            }
            for name, words in catalogue.journeys.items()
        },
    }
