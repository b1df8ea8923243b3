"""How a drawing says what a rule does, in the reader's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from journey.grammar import Backward, Definition, Label, Rule, Since, Stage


@dataclass(frozen=True, slots=True)
class Words:
    """A language: its own words, and each unit of time as (one, many)."""

    language: str
    before: str
    during: str
    after: str
    begins: str
    any_touchpoint: str
    back: str
    not_taken: str
    next_run: str
    silence: str
    stay: str
    at_least: str
    if_: str
    days: tuple[str, str]
    hours: tuple[str, str]
    minutes: tuple[str, str]
    seconds: tuple[str, str]

    def say(self, label: Label) -> str:
        return label.fr if self.language == "fr" else label.en

    def phase(self, stage: Stage) -> str:
        return {"before": self.before, "during": self.during, "after": self.after}[stage.phase]

    def duration(self, length: timedelta) -> str:
        """A duration as people say it: `14 days`, `1 hour 30 minutes`."""
        days, rest = length.days, length.seconds
        units = (self.days, self.hours, self.minutes, self.seconds)
        amounts = zip((days, rest // 3600, rest // 60 % 60, rest % 60), units, strict=True)
        return " ".join(f"{amount} {unit[amount > 1]}" for amount, unit in amounts if amount)

    def cause(self, rule: Rule) -> str:
        """What makes a rule fire: `order_completed`, `3 in 7 days: product_viewed`, `after 30 days of silence`."""
        if rule.after:
            return (self.silence if rule.of is Since.SILENCE else self.stay).format(self.duration(rule.after))
        types = ", ".join(rule.types) + (
            self.if_.format(", ".join(path.partition(".")[2] or path for path in rule.where)) if rule.where else ""
        )
        if rule.at_least is None:
            return types
        return self.at_least.format(rule.at_least.count, self.duration(rule.at_least.within), types)


_ENGLISH = Words(
    language="en",
    before="Before",
    during="During",
    after="After",
    begins="Begins",
    any_touchpoint="any touchpoint",
    back="Back",
    not_taken="Not taken",
    next_run="Opens the next run",
    silence="after {} of silence",
    stay="after {} in the stage",
    at_least="at least {} in {}: {}",
    if_=", given {}",
    days=("day", "days"),
    hours=("hour", "hours"),
    minutes=("minute", "minutes"),
    seconds=("second", "seconds"),
)
_FRENCH = Words(
    language="fr",
    before="Avant",
    during="Pendant",
    after="Après",
    begins="Commence",
    any_touchpoint="tout point de contact",
    back="En arrière",
    not_taken="Non suivi",
    next_run="Ouvre le tour suivant",
    silence="après {} de silence",
    stay="après {} dans l'étape",
    at_least="au moins {} en {} : {}",
    if_=", selon {}",
    days=("jour", "jours"),
    hours=("heure", "heures"),
    minutes=("minute", "minutes"),
    seconds=("seconde", "secondes"),
)
WORDS: Mapping[str, Words] = {"en": _ENGLISH, "fr": _FRENCH}


def is_back(definition: Definition, rule: Rule) -> bool:
    """Whether a rule moves some customers back."""
    return any(definition.is_backward(stage, rule) for stage in definition.departures(rule))


def is_denied(definition: Definition, rule: Rule) -> bool:
    """Whether a rule is never followed: all its ways lead back, and that is denied."""
    departures = list(definition.departures(rule))
    return rule.backward is Backward.DENY and all(definition.is_backward(stage, rule) for stage in departures)
