"""`jalon demo`: a throwaway Jalon on which four shoppers' stories are told live."""

import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
import typer
from pydantic import SecretStr
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from jalon.demo.api import Api
from jalon.demo.play import Player, Senders
from jalon.demo.script import Script, write_script
from jalon.local.folder import Folder, Running, Secrets
from jalon.local.machine import KAFKA_EMBEDDED, machine
from jalon.local.ports import choose
from jalon.local.settings import serving_settings
from jalon.local.signals import run_until_stopped
from jalon.sending import Sender
from jalon.terminal import note, out, say
from plumbing.clock import new_secret, now
from plumbing.settings import Settings, load

cli = typer.Typer()

SOURCES = {"website": "website", "app": "app", "store": "store", "call-center": "call_center", "marketing": "email"}
"""The demo's company: its sources, and the channel of what does not name one."""


@cli.command()
def demo(
    seconds: Annotated[int, typer.Option(min=0, help="How long the four stories take to tell, at least.")] = 45,
    leave: Annotated[bool, typer.Option("--exit", help="End when the stories have been told.")] = False,
    log_url: Annotated[str, typer.Option(help=f"Another log; {KAFKA_EMBEDDED} runs a broker.")] = "",
) -> None:
    """Tell four shoppers' stories, live, in a crowd of others, on a Jalon that is gone afterwards."""
    with TemporaryDirectory(prefix="jalon-demo-", ignore_cleanup_errors=True) as place:
        folder = Folder(Path(place))
        folder.make()
        sys.exit(run_until_stopped(_run(folder, log_url, timedelta(seconds=seconds), leave=leave)))


async def _run(folder: Folder, log_url: str, length: timedelta, *, leave: bool) -> int:
    script = write_script(now())
    secrets = folder.secrets()
    write_keys = {source: new_secret() for source in SOURCES}
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(machine(_settings(secrets, write_keys, log_url), folder, note))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=30, trust_env=False))
        senders = {source: Sender(client, running.ingest, key) for source, key in write_keys.items()}
        await _play(script, senders, Api(client, running.api, secrets.api_token), length)
        _invite(script, folder, running, secrets, write_keys["website"])
        if not leave:
            note("ready to play with; Ctrl-C ends it, and nothing of it stays")
            await asyncio.Event().wait()
    return 0


def _settings(secrets: Secrets, write_keys: dict[str, str], log_url: str) -> Settings:
    """A machine of its own whatever the environment says, on the usual ports where they are free."""
    usual = load()
    settings = serving_settings(
        secrets,
        database_url="",
        log_url=log_url,
        api_port=choose(usual.host, usual.api_port),
        ingest_port=choose(usual.host, usual.ingest_port),
        stager_port=choose(usual.host, usual.stager_port),
    )
    keys = ",".join(f"write:{source}:{SOURCES[source]}:{key}" for source, key in write_keys.items())
    accepted = f"{settings.bootstrap_keys.get_secret_value()},{keys}"
    return settings.model_copy(update={"bootstrap_keys": SecretStr(accepted)})


async def _play(script: Script, senders: Senders, api: Api, length: timedelta) -> None:
    others = len(script.before) + len(script.after) + sum(len(scene.meanwhile) for scene in script.scenes)
    say(f"Four stories in a crowd of {script.shoppers} shoppers and their {others} touchpoints:")
    say("")
    player = Player(script, senders, api)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=len(script.scenes))
        await player.play(length, lambda date: bar.update(task, advance=1, description=date))
    await player.end()


def _invite(script: Script, folder: Folder, running: Running, secrets: Secrets, write_key: str) -> None:
    """What one can try now."""
    rows = [
        ("page", running.api, ""),
        ("API token", secrets.api_token, ""),
        ("write key", write_key, f"for {running.ingest}/v1/touchpoints"),
        ("data", str(folder.path), "for jalon export --data"),
    ]
    say("")
    for name, value, remark in rows:
        say((f"  {name:<11}", "dim"), (value, "bold"), (f"  {remark}" if remark else "", "dim"))
    say("")
    for kind, value in script.stories[0].found_by.items():
        say(f"  curl -H 'Authorization: Bearer {secrets.api_token}' {running.api}/v1/customers/by/{kind}/{value}")
    say("")
