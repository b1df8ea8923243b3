"""Identifiers as those see them who may not see personal data: enough to recognise, too little to use."""

_DOTS = "•••"


def mask(kind: str, value: str) -> str:
    """`l•••@example.com` for an e-mail address; of a phone number and of anything else long the last two characters."""
    if kind == "email" and "@" in value:
        local, _, domain = value.rpartition("@")
        return f"{local[:1]}{_DOTS}@{domain}"
    return f"{_DOTS}{value[-2:]}" if len(value) >= 8 else _DOTS
