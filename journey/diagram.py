"""A definition as a drawing: Mermaid for documents that render it, SVG (`journey/drawing.py`) for everything else."""

from collections.abc import Iterator
from enum import StrEnum

from journey.drawing import draw
from journey.grammar import Definition, Phase, Rule
from journey.wording import WORDS, Words, is_denied


class Format(StrEnum):
    MERMAID = "mermaid"
    SVG = "svg"


class Language(StrEnum):
    EN = "en"
    FR = "fr"


_SHADES = {Phase.BEFORE: "#dbeafe", Phase.DURING: "#fef3c7", Phase.AFTER: "#dcfce7"}
_UNSAFE = str.maketrans({char: f"#{ord(char)};" for char in '#:;"<>{}[]%`'} | {"\n": " ", "\r": " "})


def diagram(definition: Definition, format_: Format, language: Language) -> str:
    """The machine in this form, with labels in this language."""
    return {Format.MERMAID: mermaid, Format.SVG: svg}[format_](definition, language)


def svg(definition: Definition, language: str = "en") -> str:
    """The machine as a drawing that stands alone, with labels in `language` (en or fr)."""
    return draw(definition, WORDS[language])


def mermaid(definition: Definition, language: str = "en") -> str:
    """The machine as a Mermaid `stateDiagram-v2`, with labels in `language` (en or fr).

    A stage has the colour of its phase. Mermaid has no dashed transitions: a clock stands for time, and an open circle
    for the next run. What is denied is left out.
    """
    words = WORDS[language]
    lines = ["stateDiagram-v2", "    direction LR", *_stages(definition, words)]
    lines += [f"    [*] --> {definition.initial}: {_safe(_beginning(definition, words))}"]
    for rule in definition.transitions:
        lines += _transitions(definition, rule, words)
    return "\n".join(lines) + "\n"


def _stages(definition: Definition, words: Words) -> Iterator[str]:
    phases = {stage.phase: words.phase(stage) for stage in definition.stages}
    for phase in phases:
        yield f"    classDef {phase.value} fill:{_SHADES[phase]},stroke:#64748b,color:#0f172a"
    for stage in definition.stages:
        yield f'    state "{_safe(words.say(stage.label))} ({phases[stage.phase]})" as {stage.name}'
        yield f"    class {stage.name} {stage.phase.value}"


def _transitions(definition: Definition, rule: Rule, words: Words) -> Iterator[str]:
    if is_denied(definition, rule):
        return
    mark = "◷ " if rule.after else ""
    run = " ↻" if rule.run else ""
    label = _safe(f"{mark}{words.say(rule.label)}{run}")
    for stage in definition.departures(rule):
        yield f"    {stage} --> {rule.to}: {label}"


def _beginning(definition: Definition, words: Words) -> str:
    return words.any_touchpoint if definition.begins is None else ", ".join(definition.begins.types)


def _safe(text: str) -> str:
    """Text in which nothing is Mermaid's own syntax."""
    return text.translate(_UNSAFE)
