"""How an identifier's value is spelled, and which one of a touchpoint's identifiers its record travels under.

Two spellings of one address, number or card must become one value before anything compares them; and what people type
where they have nothing to say (`unknown`, `000000`) must not tie strangers together.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from re import compile as pattern
from unicodedata import normalize

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_possible_number, parse

JUNK = frozenset(
    """
    -|--|?|.|n/a|na|nan|nil|no|none|null|(null)|undefined|unknown|inconnu|anonymous|anonyme|guest|not set|(not set)
    empty|vide|test|tester|xxx|xxxx|true|false|[object object]|no@mail.com|none@none.com|test@test.com|test@test.fr
    a@a.com|a@a.fr|aa@aa.com|unknown@unknown.com
    """.strip()
    .replace("\n    ", "|")
    .split("|")
)
"""Values, case folded, that name nobody."""

_JUNK_PHONES = frozenset({"123456789", "1234567890", "0123456789"})
_NOUGHTS = "0-+. /"
_E164 = pattern(r"\+[1-9][0-9]{6,14}").fullmatch
_NO_DIGIT = pattern(r"[^0-9]+")


def normalise(kind: str, value: str, region: str | None = None) -> str | None:
    """The one spelling of an identifier's value, or None where it names nobody.

    E-mail addresses: trimmed and case folded. Phone numbers: E.164, a national one by the rules of `region` (an
    ISO 3166 code, such as `FR`); the digits alone where they make no possible number. Anything else: trimmed. All in
    Unicode's composed form (NFC).
    """
    value = value.strip()
    if not value.isascii():
        value = normalize("NFC", value)
    folded = value.casefold()
    if folded in JUNK or not value.strip(_NOUGHTS):
        return None
    if kind == "email":
        return folded if "@" in folded[1:-1] else None
    if kind == "phone":
        return value if _E164(value) else _phone(value, region)
    return value


@lru_cache(maxsize=16_384)  # the parser is a hundred times slower than all the rest of a touchpoint
def _phone(value: str, region: str | None) -> str | None:
    digits = _NO_DIGIT.sub("", value)
    if digits in _JUNK_PHONES or not digits.strip("0"):
        return None
    try:
        number = parse(value, region)
    except NumberParseException:
        return digits
    return format_number(number, PhoneNumberFormat.E164) if is_possible_number(number) else digits


def routing_key(identifiers: Mapping[str, str], kinds_by_priority: Iterable[str]) -> bytes:
    """`kind:value` of the strongest identifier: what decides the partition, hence what is read in order.

    `identifiers` has at least one. A kind that `kinds_by_priority` does not list is weaker than all that it does; of
    several such the first by name counts.
    """
    for kind in kinds_by_priority:
        if kind in identifiers:
            return f"{kind}:{identifiers[kind]}".encode()
    kind = min(identifiers)
    return f"{kind}:{identifiers[kind]}".encode()
