"""The drawings of the shipped journeys for `docs/diagrams`, made from the definitions themselves."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from journey.definition import parse
from journey.diagram import mermaid, svg

JOURNEYS = Path(__file__).parent.parent / "schemas" / "journeys"


def diagrams() -> dict[str, Callable[[], str]]:
    """What writes each file, by its path."""
    return dict(_diagrams())


def _diagrams() -> Iterator[tuple[str, Callable[[], str]]]:
    for path in sorted(JOURNEYS.glob("*.yaml")):
        definition = parse(path.read_text(encoding="utf-8"))
        yield f"docs/diagrams/{path.stem}.mmd", partial(mermaid, definition)
        yield f"docs/diagrams/{path.stem}.svg", partial(svg, definition)
        yield f"docs/diagrams/{path.stem}.fr.svg", partial(svg, definition, "fr")
