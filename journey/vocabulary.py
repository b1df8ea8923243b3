"""The vocabulary: what is usual for each touchpoint type, where a touchpoint does not say it."""

from journey.documents import load_yaml


def company_types(vocabulary: str) -> frozenset[str]:
    """The types that the company starts by itself, such as `newsletter_sent`, by the YAML of the vocabulary.

    That they came does not break a customer's silence.
    """
    types = load_yaml(vocabulary)["types"]
    return frozenset(name for name, usual in types.items() if usual["initiator"] == "company")
