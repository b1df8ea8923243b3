"""Who sends: the write key of a request, and the source that it stands for."""

import binascii
from base64 import b64decode
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from journey.touchpoint_checks import Source
from plumbing.store.keys import Key, KeyKind, Keyring, parse_bootstrap_keys
from services.ingest.http import Head
from services.ingest.problem import KEYS_UNAVAILABLE, NO_KEY, UNKNOWN_KEY, Refusal

_ASK = ((b"www-authenticate", b'Bearer realm="jalon"'),)
"""Not Basic, though that is taken as well: browsers would ask their user for a password."""


_RECOGNISED = 1_000
"""Authorization headers whose source is remembered until the keys are read again, to spare each request a digest. Only
those that are good: the time of a look-up tells nothing about others."""


class WriteKeys(Keyring):
    """The write keys in force, and what each says about the touchpoints that come with it."""

    def __init__(
        self,
        bootstrap: str,
        lateness_limit: timedelta | None = None,
        company_types: frozenset[str] = frozenset(),
    ) -> None:
        """`bootstrap` is the text of JALON_BOOTSTRAP_KEYS; see `Source` for the others. Raises `Misconfigured`."""
        super().__init__(KeyKind.WRITE, parse_bootstrap_keys(bootstrap))
        self._lateness_limit = lateness_limit
        self._company_types = company_types
        self._sources: dict[bytes, Source] = {}
        self._recognised: dict[bytes, Source] = {}
        self.loaded = False

    def hold(self, stored: Iterable[Key]) -> None:
        super().hold(stored)
        self._recognised = {}

    async def refresh(self, engine: Any) -> None:
        await super().refresh(engine)
        self.loaded = True

    def source_of(self, head: Head) -> Source:
        """The source whose key came with the request.

        Raises `Refusal`: no-key, unknown-key; keys-unavailable while Postgres has not told the keys yet, since clients
        throw away what a 401 answers.
        """
        credentials = head.headers.get(b"authorization", b"")
        source = self._recognised.get(credentials)
        if source is not None:
            return source
        secret = secret_in(head)
        if not secret:
            raise Refusal(NO_KEY, headers=_ASK)
        key = self.find(secret)
        if key is None:
            raise Refusal(UNKNOWN_KEY, headers=_ASK) if self.loaded else Refusal(KEYS_UNAVAILABLE)
        source = self._sources.get(key.digest) or self._remember(key)
        if credentials and len(self._recognised) < _RECOGNISED:
            self._recognised[credentials] = source
        return source

    def _remember(self, key: Key) -> Source:
        source = Source(key.source or "", key.channel or "", self._lateness_limit, self._company_types)
        self._sources[key.digest] = source
        return source


def secret_in(head: Head) -> str | None:
    """The write key of a request: Basic user name, Bearer token, or `?write_key=`; None when there is none."""
    given = head.headers.get(b"authorization")
    if given is not None:
        scheme, _, credentials = given.strip().partition(b" ")
        return _secret_of(scheme.lower(), credentials.strip())
    if b"write_key=" in head.query:
        return parse_qs(head.query.decode("ascii", "replace")).get("write_key", [None])[0]
    return None


def _secret_of(scheme: bytes, credentials: bytes) -> str | None:
    if scheme == b"bearer":
        return credentials.decode("utf-8", "replace")
    if scheme == b"basic":
        try:
            return b64decode(credentials, validate=True).partition(b":")[0].decode("utf-8", "replace")
        except binascii.Error:
            return None
    return None
