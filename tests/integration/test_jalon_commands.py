"""The smaller commands: keys, journeys, doctor; and how the command line answers what it cannot do."""

from pathlib import Path

import pytest

from tests.support.command import run_jalon
from tests.support.ports import free_port
from tests.support.service import SECRET_KEY, Service

SHIPPED = Path("schemas/journeys")


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked_for_good(database_url: str) -> None:
    environment = {"JALON_DATABASE_URL": database_url}
    made = run_jalon("keys", "create", "--source", "store-12", "--channel", "store", environment=environment)
    assert made.returncode == 0
    secret = made.stdout.strip()
    assert len(secret) >= 32
    token = run_jalon("keys", "create", "--scopes", "read,pii", "--name", "crm", environment=environment)
    assert token.returncode == 0

    listed = run_jalon("keys", "list", environment=environment).stdout
    assert secret not in listed
    assert [line.split()[:4] for line in listed.splitlines()[1:]] == [
        ["store-12", "write", "store-12", "(store)"],
        ["crm", "api", "pii,", "read"],
    ]
    assert run_jalon("keys", "revoke", "crm", environment=environment).returncode == 0
    again = run_jalon("keys", "revoke", "crm", environment=environment)
    assert (again.returncode, again.stderr) == (1, "error: there is no key 'crm' in force\n")


def test_a_key_needs_a_purpose(database_url: str) -> None:
    environment = {"JALON_DATABASE_URL": database_url}
    assert run_jalon("keys", "create", environment=environment).returncode == 2
    assert run_jalon("keys", "create", "--source", "x", "--scopes", "read", environment=environment).returncode == 2
    unknown = run_jalon("keys", "create", "--scopes", "write", environment=environment)
    assert (unknown.returncode, unknown.stderr) == (1, "error: scopes are one or more of read, pii, admin\n")


def test_the_shipped_journeys_hold_together() -> None:
    checked = run_jalon("journeys", "check", str(SHIPPED))
    assert checked.returncode == 0
    assert len(checked.stdout.splitlines()) == len(list(SHIPPED.glob("*.yaml")))


def test_each_fault_of_a_definition_is_told_with_file_and_pointer(tmp_path: Path) -> None:
    text = (SHIPPED / "drive.yaml").read_text()
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text(text.replace("to: collected", "to: nowhere").replace("initial: ordering", "initial: begin"))
    checked = run_jalon("journeys", "check", str(faulty))
    assert checked.returncode == 1
    told = checked.stderr.splitlines()
    assert any(line.startswith(f"{faulty}: /initial: ") for line in told)
    assert any(line.startswith(f"{faulty}: /transitions/0/to: ") for line in told)


@pytest.mark.parametrize(("form", "begins"), [("mermaid", "stateDiagram"), ("svg", "<svg")])
def test_a_journey_is_drawn_in_either_language(form: str, begins: str) -> None:
    french = run_jalon("journeys", "diagram", "customer-journey", "--format", form, "--lang", "fr")
    assert french.returncode == 0
    assert begins in french.stdout
    assert "Fidélisation" in french.stdout
    from_file = run_jalon("journeys", "diagram", str(SHIPPED / "customer-journey.yaml"), "--format", form)
    assert "Loyalty" in from_file.stdout


async def test_the_doctor_finds_a_good_installation_good(database_url: str) -> None:
    port = free_port()
    environment = {
        "JALON_DATABASE_URL": database_url,
        "JALON_SECRET_KEY": SECRET_KEY,
        "JALON_STAGER_PORT": str(port),
        "JALON_BOOTSTRAP_KEYS": "write:website:website:w,api:crm:read:r",
    }
    async with Service("stager", port=port, environment=environment):
        examined = run_jalon("doctor", environment=environment)
    assert examined.returncode == 0, examined.stdout
    for what in ("settings", "Postgres", "durability", "schema", "log", "journeys", "keys", "stager", "disk"):
        assert f"ok   {what}" in examined.stdout


def test_the_doctor_says_what_to_do_about_a_database_that_is_away() -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    examined = run_jalon("doctor", environment={"JALON_DATABASE_URL": url, "JALON_SECRET_KEY": SECRET_KEY})
    assert examined.returncode == 1
    assert (
        "bad  Postgres    Postgres did not answer.; is it running, and is JALON_DATABASE_URL right?" in examined.stdout
    )


def test_the_doctor_asks_for_settings_first(tmp_path: Path) -> None:
    examined = run_jalon("doctor", "--data", str(tmp_path))
    assert examined.returncode == 1
    assert examined.stdout.startswith("bad  settings    set JALON_DATABASE_URL; or run `jalon up`")


def test_a_word_that_is_no_command_is_wrong_use() -> None:
    assert run_jalon("fly").returncode == 2
    assert run_jalon("export", "--nonsense").returncode == 2
    told = run_jalon("--help").stdout
    for command in ("up", "demo", "ingest", "stager", "api", "load", "export", "keys", "journeys", "doctor"):
        assert f" {command} " in told


def test_a_bad_setting_is_named_without_its_value() -> None:
    refused = run_jalon("ingest", environment={"JALON_PARTITIONS": "secret-word"})
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: JALON_PARTITIONS: ")
    assert "secret-word" not in refused.stderr
