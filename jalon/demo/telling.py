"""The demo in words: a line for each thing that changes, and in the end each story's stages with dates and reasons."""

from collections.abc import Iterator
from datetime import datetime

from jalon.demo.api import Moved, Noted, Where
from jalon.demo.follow import Ending, News
from jalon.stories import Story
from jalon.terminal import say

_COLOURS = {
    "ludovic": "cyan",
    "earphone_runner": "magenta",
    "file_storage_assistant": "yellow",
    "drive_shopper": "green",
}

_FACTS = {
    "pain_opened": ("pain", "red"),
    "pain_resolved": ("pain resolved", "green"),
    "objection_raised": ("objection", "red"),
    "objection_answered": ("objection answered", "green"),
    "moment": ("moment of truth", "blue"),
    "measured": ("measured", "blue"),
}


def tell(story: Story, at: datetime, news: News) -> None:
    """What is new of a story's shopper at `at`, the date that the demo has come to."""
    if news.gone:
        found = f"{len(news.gone)} stages taken back: those were one person all along"
        _line(at, story, "", (found, "dim"))
    for item in news.new:
        _line(item.occurred_at, story, item.journey, *_words(item))


def _line(at: datetime, story: Story, journey: str, *words: str | tuple[str, str]) -> None:
    name = story.story.replace("_", " ")
    say((f"{at:%Y-%m-%d %H:%M}  ", "dim"), (f"{name:<23}", _COLOURS[story.story]), (f"{journey:<17}", "dim"), *words)


def _words(item: Moved | Noted) -> Iterator[str | tuple[str, str]]:
    if isinstance(item, Moved):
        yield (_stages(item), "bold")
        yield f"  {_reason(item)}"
        return
    kind, style = _FACTS[item.fact]
    yield (f"{kind}: ", style)
    yield item.label.en if item.label else item.name
    if item.fact == "measured":
        yield f"  {item.detail['lasted']} of {item.detail['budget']}"


def _stages(item: Moved) -> str:
    to = item.to_label.en if item.to_label else item.to_stage
    if item.from_label is None:
        return f"→ {to}"
    return f"{item.from_label.en} → {to}" + (f" (run {item.run})" if item.run > 1 else "")


def _reason(item: Moved) -> str:
    """The rule in words, and what made it hold."""
    rule = item.rule_label.en if item.rule_label else item.rule
    cause = item.cause
    if cause["kind"] == "timer":
        return f"{rule} (after {cause['after']}, of {cause['of']})"
    return f"{rule} ({cause['type']}, {cause['channel']})"


def tell_ending(story: Story, ending: Ending) -> None:
    """A story's stages in order, journey by journey, with dates and reasons; and where they leave the shopper."""
    found_by = ", ".join(f"{kind} {value}" for kind, value in story.found_by.items())
    say("")
    say((story.label["en"], f"bold {_COLOURS[story.story]}"), (f"   found by {found_by}", "dim"))
    width = max(len(_stages(moved)) for moved in ending.transitions)
    for where in ending.profile.journeys:
        say(f"  {where.journey}: ", (where.stage.label.en, "bold"), *_more(where))
        for moved in ending.transitions:
            if moved.journey == where.journey:
                say(
                    (f"    {moved.occurred_at:%Y-%m-%d %H:%M}  ", "dim"), f"{_stages(moved):<{width}}  {_reason(moved)}"
                )


def _more(where: Where) -> Iterator[tuple[str, str]]:
    if where.persona:
        yield (f"  {where.persona.label.en.lower()}", "dim")
    if where.actions:
        yield (f"  propose: {where.actions[0].label.en.lower()}", "dim")
