"""Databases of one server: named, cloned, dropped."""

import re

import asyncpg


def sibling(url: str, name: str) -> str:
    """The URL of the database `name` on the server of `url` (`postgresql://host/other?options`)."""
    return re.sub(r"^(\w+://[^/?]*)/[^/?]*", rf"\1/{name}", url)


async def clone(url: str, template: str, name: str) -> None:
    """Make the database `name` as a copy of `template`, to which nobody may be connected."""
    await _run(url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')


async def drop(url: str, name: str) -> None:
    """Drop the database; whoever is still connected is cut off."""
    await _run(url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _run(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
