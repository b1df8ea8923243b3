"""Which TCP ports can be listened on."""

import socket
from typing import NamedTuple

from journey.errors import Misconfigured
from plumbing.settings import Settings


class Wanted(NamedTuple):
    """A port that one of the services listens on, and how to choose another."""

    service: str
    setting: str
    port: int

    @property
    def advice(self) -> str:
        option = self.setting.replace("_", "-")
        setting = f"JALON_{self.setting.upper()}"
        return f"port {self.port} is in use: choose another for {self.service} with --{option} or {setting}"


def wanted(settings: Settings) -> tuple[Wanted, ...]:
    return (
        Wanted("the API", "api_port", settings.api_port),
        Wanted("ingest", "ingest_port", settings.ingest_port),
        Wanted("the stager", "stager_port", settings.stager_port),
    )


def is_free(host: str, port: int) -> bool:
    """Whether a service could listen there now. Raises `Misconfigured` for an address that this machine has not."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise Misconfigured(f"JALON_HOST: {host} is no address of this machine") from None
    except PermissionError:
        raise Misconfigured(f"port {port} may not be used by this account: choose one above 1023") from None
    except OSError:
        return False
    return True


def require_free(settings: Settings) -> None:
    """Raises `Misconfigured`, which names the port and its setting, when a service could not listen."""
    for one in wanted(settings):
        if one.port and not is_free(settings.host, one.port):
            raise Misconfigured(one.advice)


def choose(host: str, usual: int) -> int:
    """The usual port if it is free, else one that the system picks."""
    if usual and is_free(host, usual):
        return usual
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
