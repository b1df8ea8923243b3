"""Settings come from the environment, and a bad one is one clear line that never shows its value."""

from datetime import timedelta

import pytest

from journey.errors import Misconfigured
from plumbing.settings import Settings, decode_key, load


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"JALON_{name.upper()}", raising=False)


@pytest.mark.parametrize("text", ["7", "7.0", "PT7S"])
def test_a_duration_is_iso_8601_or_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("JALON_LOG_DEADLINE", text)
    assert load().log_deadline == timedelta(seconds=7)


def test_the_log_is_in_the_database_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JALON_DATABASE_URL", "postgresql://here/db")
    assert load().log_url == "postgresql://here/db"
    monkeypatch.setenv("JALON_LOG_URL", "kafka://there:9092")
    assert load().log_url == "kafka://there:9092"


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JALON_API_PORT", "1234")
    assert load(api_port=4321, host=None).api_port == 4321
    assert load(api_port=None).api_port == 1234


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JALON_API_PORT", "many"),
        ("JALON_WORKERS", "-17"),
        ("JALON_LOG_DEADLINE", "soon"),
        ("JALON_LOG_DEADLINE", "-1"),
        ("JALON_LOG_LEVEL", "LOUD"),
        ("JALON_SECRET_KEY", "c0ffee"),
        ("JALON_SECRET_KEY", "not a key!"),
    ],
)
def test_a_bad_value_is_named_but_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as refused:
        load()
    assert name in str(refused.value)
    assert value not in str(refused.value).replace(name, "")
    assert "\n" not in str(refused.value)


def test_no_secret_is_in_what_settings_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JALON_DATABASE_URL", "postgresql://u:hush@host/db")
    monkeypatch.setenv("JALON_SECRET_KEY", "ab" * 32)
    monkeypatch.setenv("JALON_BOOTSTRAP_KEYS", "write:shop:website:hush")
    assert "hush" not in repr(load())
    assert "abab" not in repr(load())


@pytest.mark.parametrize("text", ["5a" * 32, "Wlpa" * 10 + "Wlpa", "_-_-" * 11])
def test_a_key_is_hexadecimal_or_base64(text: str) -> None:
    assert len(decode_key(text)) >= 32


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Misconfigured, match="JALON_DATABASE_URL and JALON_JOURNEYS must be set"):
        load().require("database_url", "host", "journeys")
    with pytest.raises(Misconfigured, match="JALON_SECRET_KEY is not set"):
        _ = load().key
