"""The image, the compose file and the settings agree with each other."""

import re
import tomllib

import pytest

from plumbing.settings import Settings
from tests.support.compose import ROOT, compose

ENVIRONMENT = {"JALON_SECRET_KEY": "5a" * 32}
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]
SERVICES = ["ingest", "stager", "api"]


def test_the_image_gets_every_package() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for package in PACKAGES:
        assert f"COPY {package} {package}\n" in DOCKERFILE
        assert f"!{package}" in ignored


def test_what_the_image_copies_reaches_the_builder() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for words in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for word in words.split()}
    assert copied == allowed


def test_the_image_runs_jalon_and_not_as_root() -> None:
    assert 'ENTRYPOINT ["jalon"]' in DOCKERFILE
    assert re.search(r"^USER (?!root|0)", DOCKERFILE, re.MULTILINE)


def test_a_compose_file_without_a_secret_key_does_not_start() -> None:
    with pytest.raises(KeyError, match="JALON_SECRET_KEY"):
        compose({})


@pytest.mark.parametrize("name", SERVICES)
def test_compose_gives_only_settings_that_exist(name: str) -> None:
    given = compose(ENVIRONMENT)[name]["environment"]
    known = {f"JALON_{field.upper()}" for field in Settings.model_fields}
    assert set(given) <= known


@pytest.mark.parametrize("name", SERVICES)
def test_compose_asks_each_service_on_the_port_where_it_listens(name: str) -> None:
    service = compose(ENVIRONMENT)[name]
    port = Settings.model_fields[f"{name}_port"].default
    assert f"http://127.0.0.1:{port}/readyz" in service["healthcheck"]["test"][-1]
    assert all(published.endswith(f":{port}") for published in service.get("ports", []))


def test_what_must_survive_is_on_a_volume() -> None:
    services = compose(ENVIRONMENT)
    for name in ("kafka", "postgres"):
        volume, _, folder = services[name]["volumes"][0].partition(":")
        assert volume == name
        assert folder.startswith("/var/lib/")
    assert services["kafka"]["environment"]["KAFKA_LOG_DIRS"] == services["kafka"]["volumes"][0].partition(":")[2]
