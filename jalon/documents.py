"""Definitions as files: read, and looked at for what one may doubt."""

from pathlib import Path

from journey.advice import advise
from journey.errors import Fault, InvalidDefinition
from journey.grammar import Definition
from journey.vocabulary import company_types
from schemas import vocabulary_document


def read(path: Path) -> str:
    """The text of a definition. Raises `InvalidDefinition` when it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InvalidDefinition("not readable as UTF-8 text") from None


def doubts_about(definition: Definition) -> list[Fault]:
    """What deserves a second look, though the definition holds together."""
    return advise(definition, company_types(vocabulary_document()))
