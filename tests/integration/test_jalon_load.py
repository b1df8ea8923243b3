"""`jalon load`: a file of touchpoints through ingest, with a reason for every line that is refused."""

import gzip
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from tests.support.command import run_jalon
from tests.support.ports import free_port
from tests.support.service import Service
from tests.support.stager import looking_into

KEY = "the-write-key"


@pytest.fixture
async def ingest(database_url: str) -> AsyncIterator[Service]:
    port = free_port()
    environment = {
        "JALON_DATABASE_URL": database_url,
        "JALON_INGEST_PORT": str(port),
        "JALON_BOOTSTRAP_KEYS": f"write:website:website:{KEY}",
    }
    async with Service("ingest", port=port, environment=environment) as service:
        yield service


def lines(ids: Iterable[int]) -> list[str]:
    return [f'{{"id": "{id_}", "type": "page_viewed", "identifiers": {{"anonymous_id": "a{id_}"}}}}' for id_ in ids]


async def held(database_url: str) -> int:
    """How many records the log has."""
    async with looking_into(database_url) as store:
        held: int = await store.value("SELECT count(*) FROM log_records")
        return held


async def test_every_line_is_in_the_log_when_it_says_so(ingest: Service, database_url: str, tmp_path: Path) -> None:
    plain, packed = tmp_path / "touchpoints.jsonl", tmp_path / "more.jsonl.gz"
    plain.write_text("\n".join(lines(range(1_203))) + "\n")
    packed.write_bytes(gzip.compress("\n".join(lines(range(5_000, 5_100))).encode()))
    done = run_jalon("load", str(plain), "--to", ingest.url, "--key", KEY)
    assert (done.returncode, done.stderr) == (0, "1203 touchpoints accepted, 0 refused\n")
    done = run_jalon("load", str(packed), "--to", ingest.url, environment={"JALON_WRITE_KEY": KEY})
    assert (done.returncode, done.stderr) == (0, "100 touchpoints accepted, 0 refused\n")
    assert await held(database_url) == 1_303


async def test_each_refused_line_is_told_by_its_number_and_the_others_are_taken(
    ingest: Service, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "touchpoints.jsonl"
    good = lines(range(900))
    file.write_text("\n".join([*good[:3], "", "no json", *good[3:700], '{"id": "x", "type": "!"}', *good[700:]]))
    done = run_jalon("load", str(file), "--to", ingest.url, "--key", KEY)
    assert done.returncode == 1
    first, second, sum_up = done.stderr.splitlines()
    assert first.startswith("line 5: ")
    assert second.startswith("line 703: ")
    assert sum_up == "900 touchpoints accepted, 2 refused"
    assert await held(database_url) == 900


async def test_a_key_that_is_not_accepted_is_one_line(ingest: Service, tmp_path: Path) -> None:
    file = tmp_path / "touchpoints.jsonl"
    file.write_text("\n".join(lines(range(3))))
    done = run_jalon("load", str(file), "--to", ingest.url, "--key", "another")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ingest does not know this write key")
    assert len(done.stderr.splitlines()) == 1


def test_ingest_that_is_away_is_tried_again_until_patience_ends(tmp_path: Path) -> None:
    file = tmp_path / "touchpoints.jsonl"
    file.write_text("\n".join(lines(range(3))))
    url = f"http://127.0.0.1:{free_port()}"
    done = run_jalon("load", str(file), "--to", url, "--key", KEY, "--patience", "1")
    assert done.returncode == 1
    assert done.stderr == f"error: ingest at {url} took nothing for 1 s: it cannot be reached\n"


def test_a_file_that_breaks_off_is_said_to(tmp_path: Path) -> None:
    file = tmp_path / "broken.gz"
    file.write_bytes(gzip.compress("\n".join(lines(range(50))).encode())[:100])
    done = run_jalon("load", str(file), "--to", "http://127.0.0.1:9", "--key", KEY, "--patience", "0")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {file} cannot be read to its end")
