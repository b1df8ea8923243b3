"""Drawings of a definition: complete, escaped, in both languages."""

import re
from xml.etree import ElementTree as ET

import pytest

from journey.definition import parse
from journey.diagram import mermaid, svg
from journey.grammar import Definition
from tests.support.stories import LABEL, document, rule, text
from tools.diagrams import JOURNEYS, diagrams
from tools.generate import ROOT

EVIL = {"en": '<script>"a" & b: c; #1 --> {x} `y` %%</script>', "fr": "l'été"}
DRAWINGS = {name: make() for name, make in diagrams().items()}
SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> Definition:
    return parse(
        text(
            document(
                label=EVIL,
                transitions=[
                    rule("buys", ["new", "known"], "won", on="bought") | {"label": EVIL},
                    rule("again", "won", "won", on="bought", run="next") | {"label": {"en": "Again", "fr": "Encore"}},
                    rule("forgets", "won", "new", after="P1DT2H", backward="allow") | {"label": {"en": "F", "fr": "O"}},
                    rule("denies", "won", "known", on="x", backward="deny") | {"label": {"en": "No", "fr": "Non"}},
                ],
            )
        )
    )


def texts(drawing: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawing).iter(f"{SVG}text")]  # noqa: S314 (ours)


def test_an_svg_shows_every_stage_and_rule_and_nothing_that_could_run() -> None:
    shown = texts(svg(drawn()))
    assert EVIL["en"] in shown
    assert [
        name for name in ("Again", "F", "No", "after 1 day 2 hours of silence", "Not taken") if name not in shown
    ] == []
    assert shown.count(LABEL["en"]) == 3
    assert "<script" not in svg(drawn())


def test_an_svg_speaks_french() -> None:
    shown = texts(svg(drawn(), "fr"))
    assert [
        name for name in ("l'été", "Encore", "après 1 jour 2 heures de silence", "Non suivi") if name not in shown
    ] == []


def test_time_is_dashed_and_denied_ways_are_marked() -> None:
    groups = ET.fromstring(svg(drawn())).iter(f"{SVG}g")  # noqa: S314 (ours)
    kinds = [group.get("class") for group in groups]
    assert kinds == ["way forth begins", "way forth", "way next", "way back time", "way denied"]


def test_nothing_is_drawn_outside_the_sheet() -> None:
    for name, drawing in DRAWINGS.items():
        if name.endswith(".svg"):
            root = ET.fromstring(drawing)  # noqa: S314 (ours)
            right, bottom = (float(root.get(side, 0)) for side in ("width", "height"))
            for element in root.iter():
                assert 0 <= float(element.get("x", 0)) <= right
                assert 0 <= float(element.get("y", 0)) <= bottom


def test_mermaid_has_a_line_for_each_way_with_nothing_of_its_own_syntax_in_labels() -> None:
    lines = mermaid(drawn()).splitlines()
    assert lines[0] == "stateDiagram-v2"
    ways = [line.strip() for line in lines if "-->" in line]
    assert [way.split(":")[0] for way in ways] == [
        "[*] --> new", "new --> won", "known --> won", "won --> won", "won --> new",
    ]  # fmt: skip
    for way in ways:
        label = re.sub(r"#\d+;", "", way.split(":", 1)[1])
        assert not set(label) & set('#:;"<>{}[]%`')
    assert any("◷ F" in way for way in ways)
    assert any("Again ↻" in way for way in ways)


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_drawings_in_the_documentation_are_those_of_the_shipped_journeys(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == DRAWINGS[name]


def test_every_shipped_journey_is_drawn() -> None:
    assert {name.rsplit(".", 1)[0] for name in DRAWINGS if name.endswith(".mmd")} == {
        f"docs/diagrams/{path.stem}" for path in JOURNEYS.glob("*.yaml")
    }
