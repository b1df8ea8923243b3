"""Writing rows: by COPY where they are many, by INSERT where COPY's own preparations would cost more than the rows."""

from collections.abc import Iterable, Sequence
from typing import Any

from plumbing.store.engine import Driver

_FEW = 50


async def put(driver: Driver, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Add rows to a table of ours."""
    rows = list(rows)
    if len(rows) > _FEW:
        await driver.copy_records_to_table(table, records=rows, columns=columns)
    elif rows:
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        names = ", ".join(f'"{column}"' for column in columns)
        await driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)  # noqa: S608 - our names
