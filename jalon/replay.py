"""`jalon replay`: the state of every customer, built anew from the stored touchpoints."""

import asyncio

import typer

from jalon.building import finish
from jalon.local.settings import USUAL_DATA, Data, using_settings
from jalon.terminal import say
from plumbing.store.build_requests import request
from plumbing.store.builds import REPLAY, Build
from plumbing.store.opening import opened

cli = typer.Typer()


@cli.command()
def replay(data: Data = USUAL_DATA) -> None:
    """Fold every customer anew beside what is live, from the stored touchpoints; then put right what differs."""
    build = asyncio.run(_replay(using_settings(data).database_url))
    switched = build.outcome["switched"]
    if any(switched.values()):
        say(
            f"{build.folded} customers folded anew: ",
            (f"{switched['customers']} states were put right", "yellow"),
            f", {switched['retracted']} transitions taken back, {switched['told']} told",
        )
    else:
        say(f"{build.folded} customers folded anew: ", ("nothing differs", "green"))


async def _replay(url: str) -> Build:
    async with opened(url) as engine:
        return await finish(engine, await request(engine, REPLAY, 0, activate=True), "replay")
