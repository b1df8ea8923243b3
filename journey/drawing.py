"""The drawing of a definition: stages from left to right, under their phases; below them one line for each rule.

A line leaves the stages where it has a dot and ends in an arrow. It is dashed where time causes it. What leads forward
comes first, then what opens the next run, what leads back, and what is denied; within each, in the order in which the
rules are tried. One line a rule, however many stages it leaves: nothing crosses, and every label has its place.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from journey.grammar import Definition, Rule
from journey.wording import Words, is_back, is_denied

MARGIN = 24
TOP = 64
"""Where the boxes of the stages begin; above them stand the title and the phases."""
BOX = 52
ROW = 50
LETTER = 6.7
"""The width of a letter in a label, on average, in the sizes used here."""
LONGEST_DETAIL = 72

_STYLE = """
  svg { --ground: #fcfcfb; --ink: #1c1917; --quiet: #6b6560; --line: #d9d5d0; --accent: #0b63a5; --back: #b04a00;
        --before: #e6effa; --during: #faf0d9; --after: #e4f3e6;
        font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink); }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #161514; --ink: #ece9e5; --quiet: #a19b94; --line: #45413d; --accent: #63b3ed; --back: #f0a35e;
          --before: #1b2939; --during: #332a17; --after: #1a2e1e; }
  }
  .ground { fill: var(--ground); }
  text { fill: currentColor; }
  .title { font-size: 18px; font-weight: 600; }
  .phase { font-size: 12px; fill: var(--quiet); letter-spacing: .06em; text-transform: uppercase; }
  .before { fill: var(--before); } .during { fill: var(--during); } .after { fill: var(--after); }
  .box { fill: var(--ground); stroke: var(--quiet); }
  .name { font-size: 14px; font-weight: 600; text-anchor: middle; }
  .dead { font-size: 12px; fill: var(--quiet); text-anchor: middle; }
  .life { stroke: var(--line); stroke-dasharray: 1 5; stroke-linecap: round; stroke-width: 1.5; }
  .group { font-size: 12px; fill: var(--quiet); letter-spacing: .06em; text-transform: uppercase; }
  .divider { stroke: var(--line); }
  .halo { paint-order: stroke; stroke: var(--ground); stroke-width: 5px; stroke-linejoin: round; }
  .detail { font-size: 12px; fill: var(--quiet); }
  .way { color: var(--accent); } .way.back { color: var(--back); } .way.denied { color: var(--quiet); }
  .way path { stroke: currentColor; stroke-width: 1.75; fill: none; }
  .way circle, .way .tip { fill: currentColor; stroke: none; }
  .time path.line { stroke-dasharray: 7 5; }
  .denied path.line { stroke-dasharray: 2 4; } .way.denied .tip { stroke: currentColor; }
"""
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Way:
    """A rule's line: the columns that it leaves and the one where it ends (the same one: it comes round again)."""

    label: str
    detail: str
    sources: tuple[int, ...]
    target: int
    kind: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where things stand: the width of a column, and of it all."""

    column: int
    columns: int
    width: int

    def left(self, index: int) -> int:
        return MARGIN + index * self.column

    def middle(self, index: int) -> int:
        return self.left(index) + self.column // 2


def draw(definition: Definition, words: Words) -> str:
    """The drawing as an SVG document."""
    groups = _groups(definition, words)
    sheet = _sheet(definition, words, [way for _, ways in groups for way in ways])
    body: list[str] = []
    y = TOP + BOX + 34
    for name, ways in groups:
        if name and ways:
            body += _divider(sheet, name, y)
            y += 30
        for way in ways:
            body += _way(sheet, way, y)
            y += ROW
    height = y + MARGIN - 20
    title = _text(words.say(definition.label))
    head = [*_phases(definition, words, sheet, height), *_stages(definition, words, sheet, height)]
    size = f'viewBox="0 0 {sheet.width} {height}" width="{sheet.width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" lang="{words.language}">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="ground" width="{sheet.width}" height="{height}"/>',
            f'<text class="title" x="{MARGIN}" y="28">{title}</text>',
            *head,
            *body,
            "</svg>\n",
        ]
    )


def _groups(definition: Definition, words: Words) -> list[tuple[str, list[Way]]]:
    """The ways by heading: forward (without one), into the next run, back, not taken."""
    ways: dict[str, list[Way]] = {"forth": [_beginning(definition, words)], "next": [], "back": [], "denied": []}
    for rule in definition.transitions:
        kind = _kind(definition, rule)
        ways[kind].append(_way_of(definition, rule, words, kind))
    names = ("", words.next_run, words.back, words.not_taken)
    return list(zip(names, ways.values(), strict=True))


def _kind(definition: Definition, rule: Rule) -> str:
    if rule.run:
        return "next"
    if is_denied(definition, rule):
        return "denied"
    return "back" if is_back(definition, rule) else "forth"


def _beginning(definition: Definition, words: Words) -> Way:
    cause = words.any_touchpoint if definition.begins is None else ", ".join(definition.begins.types)
    return Way(words.begins, cause, (), definition.position(definition.initial), "forth begins")


def _way_of(definition: Definition, rule: Rule, words: Words, kind: str) -> Way:
    detail = words.cause(rule)
    sources = tuple(definition.position(stage) for stage in definition.departures(rule))
    return Way(
        words.say(rule.label), detail, sources, definition.position(rule.to), f"{kind}{' time' if rule.after else ''}"
    )


def _sheet(definition: Definition, words: Words, ways: Sequence[Way]) -> Sheet:
    """A sheet that is wide enough for the names of the stages, and for the longest label where it stands."""
    names = [words.say(stage.label) for stage in definition.stages]
    column = max(150, *(round(len(name) * 8.2) + 48 for name in names))
    columns = len(names)
    longest = max(max(len(way.label), len(_short(way.detail))) for way in ways)
    return Sheet(column, columns, max(2 * MARGIN + columns * column, 2 * MARGIN + column + round(longest * LETTER)))


def _phases(definition: Definition, words: Words, sheet: Sheet, height: int) -> Iterator[str]:
    first = 0
    for index, stage in enumerate(definition.stages):
        is_last = index + 1 == sheet.columns or definition.stages[index + 1].phase is not stage.phase
        if is_last:
            x, width = sheet.left(first) + 3, (index + 1 - first) * sheet.column - 6
            yield f'<rect class="{stage.phase}" x="{x}" y="{TOP - 24}" width="{width}" height="{BOX + 36}" rx="8"/>'
            yield f'<text class="phase" x="{x + 12}" y="{TOP - 7}">{_text(words.phase(stage))}</text>'
            first = index + 1


def _stages(definition: Definition, words: Words, sheet: Sheet, height: int) -> Iterator[str]:
    for index, stage in enumerate(definition.stages):
        x, width = sheet.left(index) + 14, sheet.column - 28
        middle = sheet.middle(index)
        yield f'<path class="life" d="M{middle} {TOP + BOX + 14}V{height - 12}"/>'
        yield f'<rect class="box" x="{x}" y="{TOP}" width="{width}" height="{BOX}" rx="8"/>'
        base = TOP + (22 if stage.dead_time else 31)
        yield f'<text class="name" x="{middle}" y="{base}">{_text(words.say(stage.label))}</text>'
        if stage.dead_time:
            yield f'<text class="dead" x="{middle}" y="{TOP + 41}">◷ {_text(words.duration(stage.dead_time))}</text>'


def _divider(sheet: Sheet, name: str, y: int) -> Iterator[str]:
    yield f'<path class="divider" d="M{MARGIN} {y - 8}H{sheet.width - MARGIN}"/>'
    yield f'<text class="group halo" x="{MARGIN}" y="{y + 10}">{_text(name)}</text>'


def _way(sheet: Sheet, way: Way, y: int) -> Iterator[str]:
    """One rule: its label above its line, its cause below."""
    line = y + 14
    yield f'<g class="way {way.kind}"><title>{_text(way.label)}: {_text(way.detail)}</title>'
    yield from _line(sheet, way, line)
    yield "</g>"
    x, anchor = _place(sheet, way)
    yield f'<text class="halo" x="{x}" y="{line - 7}" text-anchor="{anchor}">{_text(way.label)}</text>'
    detail = _text(_short(way.detail))
    yield f'<text class="detail halo" x="{x}" y="{line + 17}" text-anchor="{anchor}">{detail}</text>'


def _line(sheet: Sheet, way: Way, y: int) -> Iterator[str]:
    target = sheet.middle(way.target)
    others = [sheet.middle(source) for source in way.sources if source != way.target]
    if not way.sources:
        others = [target - sheet.column // 2 + 14]
    for side in (-1, 1):  # from the left, from the right
        there = [x for x in others if (x < target) == (side < 0)]
        if there:
            far = min(there) if side < 0 else max(there)
            tip = target + side * 5
            yield f'<path class="line" d="M{far} {y}H{tip + side * 7}"/>'
            end = "m-4 -5l8 10m0 -10l-8 10" if way.kind.startswith("denied") else f"l{side * 10} -5v10z"
            yield f'<path class="tip" d="M{tip} {y}{end}"/>'
    if way.target in way.sources:
        yield f'<path class="line" d="M{target} {y}h-22a8 8 0 0 1 0 -16h10"/>'
        yield f'<path class="tip" d="M{target - 3} {y - 16}l-10 -5v10z"/>'
    for x in [*others, *([target] if way.target in way.sources else [])]:
        yield f'<circle cx="{x}" cy="{y}" r="4"/>'


def _place(sheet: Sheet, way: Way) -> tuple[int, str]:
    """Where a way's text stands: from its left end on, or up to its right end if it would leave the sheet."""
    points = [sheet.middle(index) for index in (*way.sources, way.target)]
    if not way.sources:
        points = [sheet.left(way.target) + 14]
    width = max(len(way.label), len(_short(way.detail))) * LETTER
    left = min(points) + 10
    if left + width <= sheet.width - MARGIN:
        return left, "start"
    return max(points) - (42 if way.target in way.sources else 10), "end"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_DETAIL else text[: LONGEST_DETAIL - 1].rsplit(",", 1)[0] + ", …"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))
