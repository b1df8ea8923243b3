"""The folder of a Jalon on one machine: its database, its log, its secrets and what its services wrote."""

import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from journey.errors import Misconfigured
from plumbing.clock import new_secret

FIRST_SOURCE = "website"
"""Source and channel of the first write key."""

SCOPES = "read+pii+admin"


def usual_folder() -> Path:
    """Where the programs of a user keep their data (XDG base directories), wherever they are started from."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "jalon"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the services of this folder are started with; written once, at the first start."""

    secret_key: str
    write_key: str
    api_token: str

    @property
    def bootstrap_keys(self) -> str:
        """As `JALON_BOOTSTRAP_KEYS` has them."""
        return f"write:{FIRST_SOURCE}:{FIRST_SOURCE}:{self.write_key},api:first:{SCOPES}:{self.api_token}"


@dataclass(frozen=True, slots=True)
class Running:
    """Where the Jalon that runs in a folder can be found, for the other commands of its user."""

    api: str
    ingest: str
    stager: str
    database_url: str
    log_url: str


class Folder:
    """One folder, made (for its owner only) when missing. Raises `Misconfigured` when that cannot be done."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.postgres = self.path / "postgres"
        self.kafka = self.path / "kafka"
        self.logs = self.path / "logs"
        self.secrets_file = self.path / "secrets"
        self.running_file = self.path / "running"

    def make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"cannot keep data in {self.path} ({error.strerror}): choose another --data") from error

    def secrets(self) -> Secrets:
        """The secrets of this folder, made at the first call.

        Raises `Misconfigured` when there is a database but its secrets are gone, as nothing could read it.
        """
        known = self.known_secrets()
        if known is not None:
            return known
        if self.postgres.exists():
            raise Misconfigured(f"{self.secrets_file} is missing: without it the database beside it names nobody")
        made = Secrets(new_secret(), new_secret(), new_secret())
        self._write(self.secrets_file, asdict(made))
        return made

    def known_secrets(self) -> Secrets | None:
        """The secrets of this folder, if it has any. Raises `Misconfigured` when the file is not as we left it."""
        values = self._read(self.secrets_file)
        try:
            return Secrets(**values) if values else None
        except TypeError:
            raise Misconfigured(f"{self.secrets_file} must give secret_key, write_key and api_token") from None

    def running(self) -> Running | None:
        """What runs here; out of date when that was killed."""
        values = self._read(self.running_file)
        return Running(**values) if values else None

    def note_running(self, running: Running | None) -> None:
        """Tell the other commands what runs here now, or (None) that nothing does."""
        if running is None:
            self.running_file.unlink(missing_ok=True)
        else:
            self._write(self.running_file, asdict(running))

    def _read(self, path: Path) -> dict[str, str]:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"cannot read {path}") from error
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def _write(self, path: Path, values: dict[str, str]) -> None:
        """Write beside and rename, so that a half-written file is never taken for one; only the owner may read it."""
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(handle, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
