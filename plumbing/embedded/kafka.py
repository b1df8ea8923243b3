"""A real Apache Kafka broker in KRaft mode, run from Python packages: no Docker, no Java on the PATH.

For one machine and for the tests. The broker listens on the loopback only and is alone, so `acks=all` means that this
one process has the record: it survives kill -9 of anything, not the loss of the disk or, as Kafka does not sync each
write, of the machine's power. Production runs three brokers.

On Linux the broker dies with the process that started it, even when that is killed; elsewhere a killed parent leaves
it running, and the next `start` on its folder says so.
"""

import asyncio
import base64
import fcntl
import re
import signal
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from journey.errors import LogUnavailable, Misconfigured
from plumbing.clock import monotonic, new_id
from plumbing.embedded.kafka_jars import class_path, java
from plumbing.processes import die_with_parent
from plumbing.telemetry import Action, log

_HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true")
_LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")
_STOP_SECONDS = 20.0

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={data}
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=4
# alone: one copy of every internal topic
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# the first reader of a group need not wait three seconds for company
group.initial.rebalance.delay.ms=0
# after a kill the controller refuses the broker's name until its old session has run out
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
"""


class EmbeddedKafka:
    """The broker whose data is in `directory` (made when missing): `start`, `stop`, or `async with`.

    `port` 0 takes a free one at the first start and keeps it as long as this object lives, so that clients find a
    broker that was killed and started again.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        deadline: timedelta = timedelta(minutes=2),
        cache: Path | None = None,
    ) -> None:
        self._directory = directory.resolve()
        self._ports = [port, 0]
        self._deadline = deadline
        self._cache = cache
        self._process: asyncio.subprocess.Process | None = None
        self._owned: IO[str] | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients, known once started."""
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def pid(self) -> int:
        """The process id of the running broker, for tests that stop or kill it."""
        if self._process is None:
            raise LogUnavailable("The embedded Kafka is not running")
        return self._process.pid

    async def start(self) -> None:
        """Run the broker and return when it answers. The very first time, Kafka's jars are downloaded.

        Raises `Misconfigured` without the extra `kafka` or when another process owns the directory, `LogUnavailable`
        when the broker does not come up in time.
        """
        program = [str(java()), *_HEAP, *_LOGGING, "-cp", await asyncio.to_thread(class_path, self._cache)]
        self._own()
        try:
            await self._start(program)
        except BaseException:
            await self.kill()
            raise
        log(Action.KAFKA_STARTED, port=self._ports[0])

    async def stop(self) -> None:
        """End the broker cleanly; after 20 s, any how. Nothing to do when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
            process.send_signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        self._disown()
        log(Action.KAFKA_STOPPED)

    async def kill(self) -> None:
        """End the broker as a crash would (SIGKILL); `start` runs it again on the same data and port."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._disown()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _properties(self) -> Path:
        return self._directory / "server.properties"

    @property
    def _output(self) -> Path:
        return self._directory / "server.log"

    async def _start(self, program: list[str]) -> None:
        self._ports = [port or _free_port() for port in self._ports]
        self._properties.write_text(
            _PROPERTIES.format(port=self._ports[0], controller_port=self._ports[1], data=self._data)
        )
        if not (self._data / "meta.properties").exists():
            await self._format(program)
        self._process = await self._run([*program, "kafka.Kafka", str(self._properties)])
        await self._until_it_answers(self._process)

    def _own(self) -> None:
        """Take the directory for this process; the kernel frees it when the process is gone, however it ends."""
        self._directory.mkdir(parents=True, exist_ok=True)
        handle = (self._directory / "owner.lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise Misconfigured(f"{self._directory} is in use by another Jalon") from None
        self._owned = handle

    def _disown(self) -> None:
        if self._owned is not None:
            self._owned.close()
            self._owned = None

    async def _format(self, program: list[str]) -> None:
        """Give the data folder a cluster id, as KRaft asks for before the first start."""
        cluster_id = base64.urlsafe_b64encode(bytes.fromhex(new_id())).decode().rstrip("=")
        arguments = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties)]
        process = await self._run([*program, *arguments])
        if await process.wait() != 0:
            raise LogUnavailable(f"Kafka could not prepare {self._data}: {self._last_words()}")

    async def _run(self, command: list[str]) -> asyncio.subprocess.Process:
        with self._output.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                start_new_session=True,  # Ctrl-C is for whoever started it
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    async def _until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        until = monotonic() + self._deadline.total_seconds()
        while not await _answers(self.bootstrap):
            if process.returncode is not None:
                raise LogUnavailable(f"The embedded Kafka ended at once ({self._output}): {self._last_words()}")
            if monotonic() > until:
                raise LogUnavailable(f"The embedded Kafka did not answer in time ({self._output})")
            await asyncio.sleep(0.05)

    def _last_words(self) -> str:
        lines = self._output.read_text(errors="replace").splitlines()
        telling = [line for line in lines if re.search("error|fatal|exception", line, re.IGNORECASE)]
        return (telling or lines or ["it gave no reason"])[-1]


async def _answers(bootstrap: str) -> bool:
    host, port = bootstrap.split(":")
    with suppress(OSError):
        with socket.create_connection((host, int(port)), timeout=1):
            pass  # aiokafka would log an error for each try
        client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000)
        try:
            await client.bootstrap()
            return bool(client.cluster.brokers())
        except KafkaError:
            return False
        finally:
            await client.close()
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
