"""Settings on one machine: what the environment leaves open, the folder of `jalon up` fills in."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from jalon.local.folder import Folder, Secrets, usual_folder
from jalon.local.ports import choose
from journey.errors import Misconfigured
from plumbing.settings import Settings, load

Data = Annotated[
    Path, typer.Option(envvar="JALON_DATA", help="Folder of `jalon up`: its database, log, keys and output.")
]
USUAL_DATA = usual_folder()


def serving_settings(secrets: Secrets, **overrides: str | int | None) -> Settings:
    """What `jalon up` runs with: environment, command line, the folder's secrets. A port 0 becomes a free one."""
    settings = load(**overrides)
    free = {
        name: choose(settings.host, 0)
        for name in ("api_port", "ingest_port", "stager_port")
        if not getattr(settings, name)
    }
    return settings.model_copy(update={**_with_secrets(settings, secrets), **free})


def using_settings(data: Path) -> Settings:
    """What a command runs with that uses a Jalon: the environment's if it names a database, else that of the folder.

    Raises `Misconfigured` where neither is there.
    """
    settings = load()
    if settings.database_url:
        return settings
    folder = Folder(data)
    running, secrets = folder.running(), folder.known_secrets()
    if running is None or secrets is None:
        raise Misconfigured(f"set JALON_DATABASE_URL; or run `jalon up` (nothing runs in {folder.path})")
    return settings.model_copy(
        update={
            "database_url": running.database_url,
            "log_url": running.log_url,
            **_with_secrets(settings, secrets),
        }
    )


def _with_secrets(settings: Settings, secrets: Secrets) -> dict[str, SecretStr]:
    """A secret key of the environment wins over the folder's; its keys are accepted beside the folder's."""
    given = settings.bootstrap_keys.get_secret_value()
    return {
        "secret_key": settings.secret_key or SecretStr(secrets.secret_key),
        "bootstrap_keys": SecretStr(",".join(filter(None, (given, secrets.bootstrap_keys)))),
    }
