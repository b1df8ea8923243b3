"""Keys: how the environment writes them, and how a service finds one by its secret."""

import pytest

from journey.errors import CallerFault, Misconfigured
from plumbing.store.keys import Key, KeyKind, Keyring, digest_of, parse_bootstrap_keys, parse_scopes


def test_bootstrap_keys_are_of_two_kinds() -> None:
    write, api = parse_bootstrap_keys("write:shop:website:s3cret, api:marketing:read+pii:t0ken,")
    assert (write.kind, write.source, write.channel, write.digest) == ("write", "shop", "website", digest_of("s3cret"))
    assert (api.kind, api.scopes, api.digest) == ("api", frozenset({"read", "pii"}), digest_of("t0ken"))


def test_no_bootstrap_keys_are_none() -> None:
    assert parse_bootstrap_keys("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "write:shop:In Store!:hushhush",
        f"write:{'long' * 100}:store:hushhush",
        "write:shop:hushhush",
        "api:x:write:hushhush",
        "api:x::hushhush",
        "other:a:b:hushhush",
        "api:x:read:hush:hush",
    ],
)
def test_a_bad_bootstrap_key_is_named_by_its_place_and_never_shown(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"key 2") as caught:
        parse_bootstrap_keys(f"write:shop:website:fine,{text}")
    assert "hush" not in str(caught.value)


def test_unknown_scopes_are_refused() -> None:
    with pytest.raises(CallerFault):
        parse_scopes(["read", "everything"])


def test_a_keyring_finds_keys_of_its_kind_by_their_secret() -> None:
    ring = Keyring(KeyKind.API, parse_bootstrap_keys("write:shop:website:one,api:marketing:read:two"))
    found = ring.find("two")
    assert found is not None
    assert found.name == "bootstrap-marketing"
    assert ring.find("one") is None
    assert ring.find("") is None
    assert ring.find("\udcff") is None


def test_a_keyring_forgets_what_it_no_longer_holds_but_not_its_bootstrap_keys() -> None:
    ring = Keyring(KeyKind.API, parse_bootstrap_keys("api:marketing:read:two"))
    ring.hold([Key("crm", "api", digest_of("three"), scopes=frozenset({"read"}))])
    assert ring.find("three") is not None
    ring.hold([])
    assert ring.find("three") is None
    assert ring.find("two") is not None


def test_a_key_does_not_show_its_digest() -> None:
    (key,) = parse_bootstrap_keys("api:marketing:read:two")
    assert "digest" not in repr(key)
