"""`jalon doctor`: looks at everything Jalon stands on, and says what to do."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import httpx
import typer

from jalon.local.folder import Folder, Running
from jalon.local.settings import USUAL_DATA, Data, using_settings
from jalon.terminal import say
from journey.errors import JalonError, LogUnavailable
from plumbing.clock import now
from plumbing.log import open_log
from plumbing.settings import Settings
from plumbing.store.inspection import Contents, Server, inspect_contents, inspect_server
from plumbing.store.keys import KeyKind, parse_bootstrap_keys

cli = typer.Typer()

OLDEST_POSTGRES = 15
_LITTLE_ROOM = 2 * 1024**3
_OLD_HORIZON = timedelta(minutes=1)


class Verdict(StrEnum):
    GOOD = "ok"
    DOUBTFUL = "look"
    BAD = "bad"


_STYLES = {Verdict.GOOD: "green", Verdict.DOUBTFUL: "yellow", Verdict.BAD: "bold red"}


class Finding(NamedTuple):
    """What was looked at, what was found, and what to do about it."""

    verdict: Verdict
    what: str
    found: str
    advice: str = ""


@cli.command()
def doctor(data: Data = USUAL_DATA) -> None:
    """Check settings, database, log, services, keys and disk, and say what to do; exits 1 if anything is bad."""
    sys.exit(asyncio.run(_examine(data)))


async def _examine(data: Path) -> int:
    bad = False
    async for finding in _findings(data):
        advice = f"; {finding.advice}" if finding.advice else ""
        say((f"{finding.verdict:<5}", _STYLES[finding.verdict]), (f"{finding.what:<12}", "bold"), finding.found, advice)
        bad |= finding.verdict is Verdict.BAD
    return 1 if bad else 0


async def _findings(data: Path) -> AsyncIterator[Finding]:
    try:
        settings = using_settings(data)
        settings.require("database_url", "log_url", "secret_key")
        bootstrap = parse_bootstrap_keys(settings.bootstrap_keys.get_secret_value())
    except JalonError as error:
        yield Finding(Verdict.BAD, "settings", str(error))
        return
    yield Finding(Verdict.GOOD, "settings", "complete")
    try:
        server = await inspect_server(settings.database_url)
    except JalonError as error:
        yield Finding(Verdict.BAD, "Postgres", str(error), "is it running, and is JALON_DATABASE_URL right?")
        server = None
    if server:
        for finding in _of_server(server):
            yield finding
    yield await _of_log(settings)
    if server and server.migrated:
        contents = await inspect_contents(settings.database_url, settings.topic)
        for finding in _of_contents(contents, {key.kind for key in bootstrap}):
            yield finding
    for name, url in _services(settings, Folder(data).running()).items():
        yield await _of_service(name, url)
    yield _of_disk(data)


def _of_server(server: Server) -> list[Finding]:
    findings = [Finding(Verdict.GOOD, "Postgres", f"version {server.version} answers")]
    if int(server.version.split(".")[0]) < OLDEST_POSTGRES:
        findings.append(Finding(Verdict.BAD, "Postgres", f"older than {OLDEST_POSTGRES}", "upgrade it"))
    weak = [name for name, value in server.durability.items() if value == "off"]
    if weak:
        found = f"{' and '.join(weak)} off: what was acknowledged may be lost"
        findings.append(Finding(Verdict.BAD, "durability", found, "turn it on"))
    else:
        findings.append(Finding(Verdict.GOOD, "durability", "what is committed survives a power cut"))
    if server.migrated:
        findings.append(Finding(Verdict.GOOD, "schema", "the newest"))
    else:
        findings.append(Finding(Verdict.BAD, "schema", "not of this version", "start a stager: it migrates"))
    return findings


async def _of_log(settings: Settings) -> Finding:
    log = open_log(settings.log_url, settings.topic, make_topic=False, deadline=timedelta(seconds=5))
    try:
        await log.start()
        healthy = await log.healthy()
        await log.stop()
    except JalonError as error:
        advice = "is it running, and is JALON_LOG_URL right?" if isinstance(error, LogUnavailable) else ""
        return Finding(Verdict.BAD, "log", str(error), advice)
    if not healthy:
        return Finding(Verdict.BAD, "log", "it answers, but takes nothing")
    return Finding(Verdict.GOOD, "log", f"{settings.log_url.partition(':')[0]} with topic {settings.topic}")


def _of_contents(contents: Contents, bootstrap: set[str]) -> list[Finding]:
    journeys = ", ".join(f"{name} {version}" for name, version in sorted(contents.journeys.items()))
    findings = [
        Finding(Verdict.GOOD, "journeys", journeys)
        if journeys
        else Finding(Verdict.BAD, "journeys", "none is active", "start a stager: it publishes them")
    ]
    kinds = bootstrap | {key.kind for key in contents.keys}
    if KeyKind.WRITE not in kinds:
        advice = "jalon keys create --source website --channel website"
        findings.append(Finding(Verdict.DOUBTFUL, "keys", "nobody can write", advice))
    if KeyKind.API not in kinds:
        findings.append(Finding(Verdict.DOUBTFUL, "keys", "nobody can read", "jalon keys create --scopes read"))
    if len(kinds) == len(KeyKind):
        findings.append(Finding(Verdict.GOOD, "keys", "some to write, some to read"))
    age = now() - contents.horizon
    if contents.partitions and age > _OLD_HORIZON:
        partition, read_to = min(contents.partitions.items(), key=lambda item: (item[1], item[0]))
        holding = f"partition {partition} holds it" if read_to <= contents.horizon else "a partition is not read at all"
        found = f"time stands at {contents.horizon:%Y-%m-%d %H:%M:%S} UTC: {holding}"
        findings.append(Finding(Verdict.DOUBTFUL, "horizon", found, "a stager is behind, or none runs"))
    if contents.dead_letters:
        found = f"{contents.dead_letters} records could not be used"
        findings.append(Finding(Verdict.DOUBTFUL, "dead letters", found, "their reasons are in table dead_letters"))
    return findings


def _services(settings: Settings, running: Running | None) -> dict[str, str]:
    if running:
        return {"api": running.api, "ingest": running.ingest, "stager": running.stager}
    ports = {"api": settings.api_port, "ingest": settings.ingest_port, "stager": settings.stager_port}
    return {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


async def _of_service(name: str, url: str) -> Finding:
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.TransportError:
            return Finding(Verdict.DOUBTFUL, name, f"nothing answers at {url}", f"run `jalon {name}` or `jalon up`")
    if answer.status_code != httpx.codes.OK:
        return Finding(Verdict.BAD, name, f"{url} is not ready ({answer.status_code})", "its log says why")
    return Finding(Verdict.GOOD, name, f"ready at {url}")


def _of_disk(data: Path) -> Finding:
    place = next(path for path in (data.expanduser().resolve(), *data.expanduser().resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GiB free under {place}"
    if free < _LITTLE_ROOM:
        return Finding(Verdict.DOUBTFUL, "disk", found, "make room before it is full")
    return Finding(Verdict.GOOD, "disk", found)
