"""The shapes Jalon promises to others, as data: JSON Schemas, the shipped journeys, the vocabulary, OpenAPI."""

from pathlib import Path

_HERE = Path(__file__).parent


def journey_documents(folder: Path | None = None) -> list[str]:
    """The YAML of every definition in a folder (default: the shipped ones), in the order of the files' names."""
    return [path.read_text(encoding="utf-8") for path in sorted((folder or _HERE / "journeys").glob("*.yaml"))]


def vocabulary_document() -> str:
    """The YAML of the vocabulary."""
    return (_HERE / "vocabulary.yaml").read_text(encoding="utf-8")


def identity_document() -> str:
    """The YAML of the identity configuration."""
    return (_HERE / "identity.yaml").read_text(encoding="utf-8")
