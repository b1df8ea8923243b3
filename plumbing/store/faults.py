"""What the drivers raise, as our tree has it: whose fault it is, and whether to try again."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from journey.errors import Contended, DoesNotFit, StoreUnavailable

_CONTENDED = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
)

_DOES_NOT_FIT = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that ends between two messages
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # nobody has migrated it yet
    DBAPIError,
    PoolExhausted,
    OSError,
    TimeoutError,
)


@contextmanager
def store_faults() -> Iterator[None]:
    """Turns what the body's drivers raise into `Contended`, `DoesNotFit` or `StoreUnavailable`.

    The queries are ours: what Postgres has against a value is about the value, and anything else is about Postgres.
    """
    try:
        yield
    except _CONTENDED as error:
        raise Contended from error
    except _DOES_NOT_FIT as error:
        raise DoesNotFit from error
    except AWAY as error:
        raise StoreUnavailable from error
