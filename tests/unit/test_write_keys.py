"""Whose a write key is, and for how long."""

import pytest

from plumbing.store.keys import Key, KeyKind, digest_of
from services.ingest.http import Head
from services.ingest.keys import WriteKeys
from services.ingest.problem import Refusal

HEAD = Head("POST", "/v1/touchpoints", b"", {b"authorization": b"Bearer secret"})
KEY = Key("till", KeyKind.WRITE, digest_of("secret"), "till-7", "store", frozenset())


def test_a_source_is_remembered_until_the_keys_are_read_again() -> None:
    keys = WriteKeys("")
    keys.hold([KEY])
    assert keys.source_of(HEAD).name == "till-7"
    assert keys.source_of(HEAD) is keys.source_of(HEAD)
    keys.hold([])
    with pytest.raises(Refusal):
        keys.source_of(HEAD)
