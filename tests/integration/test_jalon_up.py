"""`jalon up`: everything on this machine, by one command."""

import signal
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import httpx

from tests.support.command import Session, is_alive, run_jalon
from tests.support.ports import free_port
from tests.support.waiting import eventually

ANY_PORTS = ("--api-port", "0", "--ingest-port", "0", "--stager-port", "0")


async def test_the_curl_of_a_first_start_works_and_a_second_start_knows_what_it_sent(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with Session("up", "--data", str(data), *ANY_PORTS) as up:
        await up.says("^ready")
        send, ask = (line.strip() for line in up.output().splitlines() if line.startswith("  curl"))
        assert '"accepted":1' in _shell(send)
        await eventually(lambda: '"name":"loyalty"' in _shell(ask))
        services = up.children()
        assert set(services) == {"api", "ingest", "stager"}
        assert up.stop(signal.SIGTERM) == 0
    assert not any(map(is_alive, services.values()))
    assert (data / "secrets").stat().st_mode & 0o777 == 0o600
    with Session("up", "--data", str(data), *ANY_PORTS) as again:
        await again.says("^ready")
        ask_again = [line.strip() for line in again.output().splitlines() if line.startswith("  curl")][1]
        assert ask_again.split()[3] == ask.split()[3], "the token is another one"
        assert '"name":"loyalty"' in _shell(ask_again)
        assert again.stop(signal.SIGINT) == 0


async def test_a_service_that_is_killed_is_started_again_and_all_end_with_their_parent(tmp_path: Path) -> None:
    with Session("up", "--data", str(tmp_path / "data"), *ANY_PORTS) as up:
        await up.says("^ready")
        before = up.children()
        signal_to(before["ingest"], signal.SIGKILL)
        await up.says("^ingest was killed by signal 9; starting it again in 0.5 s$")
        await up.says("^ingest runs again$")
        ingest = (await up.says(r"ingest +(http://\S+)"))[1]
        async with httpx.AsyncClient(base_url=ingest) as client:
            await eventually(lambda: _is_ready(client))
        after = up.children()
        assert after["ingest"] != before["ingest"]
        up.process.kill()
        await eventually(lambda: not any(map(is_alive, after.values())))


def test_a_port_in_use_is_named_together_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        refused = run_jalon(
            "up", "--data", str(tmp_path / "data"), "--api-port", str(free_port()), "--ingest-port", port
        )
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        f"error: port {port} is in use: choose another for ingest with --ingest-port or JALON_INGEST_PORT"
    )


def test_a_database_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    refused = run_jalon("up", "--data", str(tmp_path / "data"), "--database-url", url, *ANY_PORTS)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == "error: Postgres did not answer."
    assert "Traceback" not in refused.stderr


async def test_a_service_that_cannot_start_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "faulty.yaml").write_text("journey: without-stages")
    environment = {"JALON_JOURNEYS": str(tmp_path)}
    with Session("up", "--data", str(tmp_path / "data"), *ANY_PORTS, environment=environment) as up:
        await up.says("^error: stager could not start: .*missing required field")
        assert up.process.wait(timedelta(seconds=20).total_seconds()) == 1
        assert "Traceback" not in up.output()


def test_data_without_its_secrets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    refused = run_jalon("up", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert f"{tmp_path / 'secrets'} is missing" in refused.stderr


def signal_to(pid: int, number: signal.Signals) -> None:
    subprocess.run(["kill", f"-{number.value}", str(pid)], check=True)


def _shell(command: str) -> str:
    """What a user's shell prints for it."""
    return subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
