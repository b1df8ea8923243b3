"""Working on a build in a command: with a bar, beside the stagers, until there is nothing left to do."""

import asyncio

from jalon.terminal import progress
from journey.errors import CallerFault, Contended
from journey.identity import Kinds, parse_identity
from plumbing.store.builds import Build
from plumbing.store.engine import Engine
from schemas import identity_document
from services.stager.build import Builder

_AT_ONCE = 500
_PAUSE = 0.2
"""Seconds, when somebody else was in the way."""


async def finish(engine: Engine, number: int, what: str) -> Build:
    """The build once it is done.

    Raises `CallerFault` when it was given up, with the reason; `StoreUnavailable`.
    """
    builder = Builder(engine, Kinds(parse_identity(identity_document())), _AT_ONCE)
    with progress("customers") as bar:
        task = bar.add_task(what)
        while True:
            try:
                build = await builder.work(number)
            except Contended:
                await asyncio.sleep(_PAUSE)
                continue
            bar.update(task, completed=build.folded, total=max(build.customers, build.folded))
            if build.state == "dropped":
                reason = (build.outcome or {}).get("refused", "another version of this journey was activated meanwhile")
                raise CallerFault(f"given up: {reason}")
            if not build.at_work:
                return build
