"""Every error Jalon raises, and whose fault it is.

    JalonError
    ├── CallerFault            what was sent is wrong: a 4xx answer or a dead letter, never a retry
    │   ├── InvalidTouchpoint
    │   ├── InvalidDefinition
    │   ├── InvalidCommand
    │   │   └── AlreadyPublished
    │   ├── DoesNotFit
    │   └── NotAuthorised
    └── OurFault               what we run on is wrong: retry, or stop and say so
        ├── LogUnavailable
        ├── StoreUnavailable
        ├── Contended
        │   └── Superseded
        ├── Fenced
        ├── WrongLog
        └── Misconfigured

The docstring of each class is its default message.
"""

from dataclasses import dataclass
from inspect import getdoc


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: a JSON pointer (RFC 6901) to it and a sentence on what is expected there."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.detail}"


class JalonError(Exception):
    """Jalon could not do this."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or getdoc(type(self)) or type(self).__name__)


class CallerFault(JalonError):
    """What was sent cannot be used."""

    def __init__(self, message: str | None = None, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message or ("; ".join(map(str, faults)) if faults else None))
        self.faults = faults


class InvalidTouchpoint(CallerFault):
    """The touchpoint does not have the canonical form."""


class InvalidDefinition(CallerFault):
    """The journey definition does not hold together."""


class InvalidCommand(CallerFault):
    """The identity command does not say what it is about."""


class AlreadyPublished(InvalidDefinition):
    """This version is published with other rules; give the changed definition a new version."""


class DoesNotFit(CallerFault):
    """A value is one that Postgres cannot hold."""


class NotAuthorised(CallerFault):
    """The key is unknown, revoked or lacks the scope for this."""


class OurFault(JalonError):
    """Something Jalon runs on failed."""


class LogUnavailable(OurFault):
    """The event log did not acknowledge in time; whether it holds the records is not known."""


class StoreUnavailable(OurFault):
    """Postgres did not answer."""


class Contended(OurFault):
    """Somebody else wrote the same at the same time; doing it again will do."""


class Superseded(Contended):
    """Another version of a journey came into force; what was folded by the one before is done again."""


class Fenced(OurFault):
    """Another stager has taken over this partition; what this one had in hand is discarded."""


class WrongLog(OurFault):
    """The log is not the one that the stored positions belong to, or no longer holds the offset they name."""


class Misconfigured(OurFault):
    """A setting is missing or does not fit the others."""
