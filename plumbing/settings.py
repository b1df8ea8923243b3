"""Every setting of Jalon, from the environment (`JALON_…`) and nowhere else.

Durations are ISO 8601 (`PT5S`) or seconds (`5`). The descriptions below make the table in `docs/settings.md`.
"""

import base64
import binascii
import math
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from journey.errors import Misconfigured


def _seconds(value: Any) -> Any:
    """The environment only has strings: `5` is five seconds, as 5 would be."""
    try:
        seconds = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return value
    return value if math.isnan(seconds) else seconds


Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0))]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(gt=0)]


def decode_key(text: str) -> bytes:
    """The bytes of a key written in hexadecimal or base64.

    Raises `ValueError` where it is neither or has fewer than 32 bytes.
    """
    try:
        key = bytes.fromhex(text)
    except ValueError:
        try:
            key = base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4), validate=True)
        except binascii.Error:
            raise ValueError("is neither hexadecimal nor base64") from None
    if len(key) < 32:
        raise ValueError("needs at least 32 bytes (`openssl rand -hex 32` makes them)")
    return key


class Settings(BaseSettings):
    """What the services run with. Build it with `load`, which turns a bad value into one clear line."""

    model_config = SettingsConfigDict(env_prefix="JALON_", frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: str = Field(
        "", repr=False, description="Postgres: `postgresql://user@host/name`. `jalon up` starts its own."
    )
    database_connections: Count = Field(10, description="Connections to Postgres that one process keeps at most.")
    log_url: str = Field(
        "", repr=False, description="The event log: `kafka://host:9092[,…]` or `postgresql://…`. [database_url]"
    )
    topic: str = Field("jalon.touchpoints", description="Name of the topic that holds the touchpoints.")
    partitions: Count = Field(6, description="Partitions of the topic, when Jalon has to make it.")
    replication: Count | None = Field(
        None, description="Replicas of the topic on Kafka, when Jalon has to make it. [one a broker, three at most]"
    )
    log_deadline: Duration = Field(
        timedelta(seconds=10), description="How long an append to the log may take before ingest answers 503."
    )

    host: str = Field("127.0.0.1", description="Address that the services listen on; `0.0.0.0` for all.")
    api_port: Port = Field(8000, description="Port of the API and the dashboard.")
    ingest_port: Port = Field(8001, description="Port of ingest.")
    stager_port: Port = Field(8002, description="Port of the stager's health and metrics.")
    workers: Count = Field(1, description="Processes of ingest or of the API.")

    bootstrap_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys for scripts and tests: `write:SOURCE:CHANNEL:SECRET`, `api:NAME:read+pii+admin:SECRET`, …",
    )
    secret_key: SecretStr | None = Field(
        None, description="32 bytes or more, hexadecimal or base64: digests identifiers, encrypts their values."
    )

    body_limit: Count = Field(4_194_304, description="Bytes of a request's body at most, after decompression.")
    body_timeout: Duration = Field(timedelta(seconds=30), description="How long a client may take to send a request.")
    batch_size: Count = Field(2_000, description="Log records that the stager takes into one transaction at most.")
    drain_timeout: Duration = Field(
        timedelta(seconds=5), description="How long a stopping service may take to finish what it has begun."
    )
    stall_timeout: Duration = Field(
        timedelta(seconds=30), description="The consumer is restarted when records wait but none is read for so long."
    )
    horizon_patience: Duration = Field(
        timedelta(minutes=5),
        description="How far one partition may hold time back, for all customers, before the stager complains.",
    )
    poison_limit: Count = Field(
        100, description="Records a minute that ingest had accepted and the stager cannot use, before it stops."
    )
    lateness_limit: Duration | None = Field(
        None, description="Touchpoints that happened longer than this before they came are refused. [none]"
    )
    phone_region: str | None = Field(
        None,
        pattern="^[A-Z]{2}$",
        description="Country (ISO 3166, such as FR) whose rules complete national phone numbers. [none]",
    )
    journeys: Path | None = Field(None, description="Folder with the company's journey definitions. [the shipped ones]")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged.")

    @field_validator("secret_key")
    @classmethod
    def _has_a_usable_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            decode_key(value.get_secret_value())
        return value

    @model_validator(mode="before")
    @classmethod
    def _log_in_the_database(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values if values.get("log_url") else {**values, "log_url": values.get("database_url", "")}

    @property
    def key(self) -> bytes:
        """The secret key's bytes (32 at least). Raises `Misconfigured` where none is set."""
        if self.secret_key is None:
            raise Misconfigured("JALON_SECRET_KEY is not set: give it 32 bytes, as `openssl rand -hex 32` makes them")
        return decode_key(self.secret_key.get_secret_value())

    def require(self, *names: str) -> Self:
        """This, when the settings of these names are given. Raises `Misconfigured` naming those that are not."""
        missing = [f"JALON_{name.upper()}" for name in names if not getattr(self, name)]
        if missing:
            raise Misconfigured(f"{' and '.join(missing)} must be set")
        return self


def load(**overrides: Any) -> Settings:
    """The settings of the environment; `overrides` (from the command line) win.

    Raises `Misconfigured` with a line that names each bad variable, never its value.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        faults = (
            f"JALON_{fault['loc'][0]}".upper() + f": {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise Misconfigured("; ".join(faults)) from None
