"""Asking for a version to be built: a row that stagers and commands find and work on (`services/stager/build.py`)."""

from collections.abc import Mapping

from journey.errors import CallerFault
from plumbing.store import builds, definitions
from plumbing.store.builds import REPLAY
from plumbing.store.engine import Engine, transaction


async def request(engine: Engine, journey: str, version: int, *, activate: bool) -> int:
    """Ask for a version to be built, and then (`activate`) switched to; the number of the build.

    `REPLAY` asks for all versions in force to be built anew. Raises `CallerFault` when the version is not published,
    does not go together with the others in force, or is in force already; `StoreUnavailable`.
    """
    async with transaction(engine) as driver:
        in_force = await definitions.in_force(driver)
        if journey != REPLAY:
            await definitions.require(driver, journey, version)
            if in_force.get(journey) == version:
                raise CallerFault(f"version {version} of {journey} is in force already")
        target = beside(in_force, journey, version)
        await definitions.load(driver, target)
        return await builds.begin(driver, journey, version, target, activate=activate)


def beside(in_force: Mapping[str, int], journey: str, version: int) -> dict[str, int]:
    """The versions of a build: those in force, but for its own."""
    return dict(in_force) if journey == REPLAY else {**in_force, journey: version}
