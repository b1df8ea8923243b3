"""What the demo plays: the four stories and the crowd, dated so that the stories end today, in the order of dates."""

from dataclasses import dataclass
from datetime import datetime

from jalon.demo.crowd import crowd
from jalon.stories import NAMES, Story, read, touchpoints_from
from journey.touchpoint import Touchpoint


@dataclass(frozen=True, slots=True)
class Scene:
    """A touchpoint of a story, after what others did since the scene before."""

    story: Story
    touchpoint: Touchpoint
    meanwhile: tuple[Touchpoint, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """What had happened before the first story began, the scenes, and what others did after the last one."""

    stories: tuple[Story, ...]
    shoppers: int
    before: tuple[Touchpoint, ...]
    scenes: tuple[Scene, ...]
    after: tuple[Touchpoint, ...]


def write_script(until: datetime) -> Script:
    """The script that ends at the last midnight before `until` (aware, UTC)."""
    today = until.replace(hour=0, minute=0, second=0, microsecond=0)
    stories = tuple(map(read, NAMES))
    people = crowd(until)
    others = [touchpoint for shopper in people for touchpoint in shopper.touchpoints]
    theirs: dict[tuple[str, str], Story] = {}
    told: list[Touchpoint] = []
    for story in stories:
        start = today - story.lasts
        others += touchpoints_from(story.others, start)
        own = list(story.touchpoints_from(start))
        theirs |= {(one.source, one.id): story for one in own}
        told += own
    before, scenes, after = _scenes(sorted([*told, *others], key=lambda one: one.order), theirs)
    return Script(stories, len(people), before, scenes, after)


def _scenes(
    played: list[Touchpoint], theirs: dict[tuple[str, str], Story]
) -> tuple[tuple[Touchpoint, ...], tuple[Scene, ...], tuple[Touchpoint, ...]]:
    before: tuple[Touchpoint, ...] = ()
    scenes: list[Scene] = []
    meanwhile: list[Touchpoint] = []
    for touchpoint in played:
        story = theirs.get((touchpoint.source, touchpoint.id))
        if story is None:
            meanwhile.append(touchpoint)
            continue
        if not scenes:
            before, meanwhile = tuple(meanwhile), []
        scenes.append(Scene(story, touchpoint, tuple(meanwhile)))
        meanwhile = []
    return before, tuple(scenes), tuple(meanwhile)
