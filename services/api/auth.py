"""Who asks: a bearer token, or the session of someone who signed in on the page; and what they may see."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from plumbing.clock import now
from plumbing.store.keys import Key, Keyring, Scope
from services.api.problem import MISSING_SCOPE, NO_TOKEN, UNKNOWN_TOKEN, Refusal

SESSION_COOKIE = "jalon_session"
SESSION_LENGTH = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Reader:
    """Someone whose token is in force."""

    name: str
    scopes: frozenset[str]

    @property
    def sees_personal_data(self) -> bool:
        return Scope.PII in self.scopes

    def require(self, scope: Scope) -> "Reader":
        """This, when it has the scope. Raises `Refusal` (missing-scope)."""
        if scope not in self.scopes:
            raise Refusal(MISSING_SCOPE, f"The token lacks the scope {scope}.")
        return self


class Gate:
    """Knows readers by their token or by their session.

    A session says which token it came from (by digest) and until when it lasts, signed; so it ends with the token.
    """

    def __init__(self, keyring: Keyring, secret: bytes) -> None:
        self._keyring = keyring
        self._signing_key = hmac.digest(secret, b"jalon session", "sha256")

    def reader(self, authorization: str | None, cookie: str | None) -> Reader:
        """Who sends these two headers. Raises `Refusal` (no-token, unknown-token)."""
        if authorization:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise Refusal(NO_TOKEN)
            return self._known(self._keyring.find(token.strip()))
        session = session_in(cookie)
        if session is None:
            raise Refusal(NO_TOKEN)
        return self._known(self._key_of(session))

    def open_session(self, token: str) -> str:
        """The value of the session cookie for who has this token. Raises `Refusal` (unknown-token, missing-scope)."""
        key = self._keyring.find(token)
        self._known(key).require(Scope.READ)
        assert key is not None  # or it were not known
        return self._signed(key, now() + SESSION_LENGTH)

    def _known(self, key: Key | None) -> Reader:
        if key is None:
            raise Refusal(UNKNOWN_TOKEN)
        return Reader(key.name, key.scopes)

    def _signed(self, key: Key, until: datetime) -> str:
        body = f"{int(until.timestamp())}.{key.digest.hex()}"
        return f"{body}.{self._signature(body)}"

    def _signature(self, body: str) -> str:
        return hmac.digest(self._signing_key, body.encode(), "sha256").hex()

    def _key_of(self, session: str) -> Key | None:
        body, _, signature = session.rpartition(".")
        if not session.isascii() or not hmac.compare_digest(self._signature(body), signature):
            return None
        until, _, digest = body.partition(".")
        return self._keyring.known(bytes.fromhex(digest)) if int(until) > now().timestamp() else None


def session_in(cookie: str | None) -> str | None:
    """The session of a Cookie header, if it has one."""
    for part in (cookie or "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == SESSION_COOKIE:
            return value
    return None
