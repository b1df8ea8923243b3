"""The tables of builds: versions of journeys that are folded beside those in force, and when each came into force.

Rows of a build are numbered by it and stand for a customer, as the live ones do; no foreign keys, for the same reason.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from plumbing.store.metadata import metadata
from plumbing.store.tables import Instant

activations = Table(
    "activations",
    metadata,
    Column("activation", BigInteger, Identity(), primary_key=True),
    Column("journey", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("activated_at", Instant, nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["journey", "version"], ["definitions.journey", "definitions.version"]),
    Index("activations_journey_idx", "journey", "activated_at"),
    comment="When which version of a journey came into force: until the next one of that journey",
)

builds = Table(
    "builds",
    metadata,
    Column("build", BigInteger, Identity(), primary_key=True),
    Column("journey", Text, nullable=False, comment="empty: a replay, of all versions in force"),
    Column("version", Integer, nullable=False),
    Column("versions", JSONB, nullable=False, comment="journey → version: all that customers are folded under"),
    Column("state", Text, nullable=False),
    Column("activate", Boolean, nullable=False, comment="switch as soon as it is built"),
    Column(
        "folded_to",
        BigInteger,
        nullable=False,
        server_default=text("'0'"),
        comment="up to this number every customer has been folded once",
    ),
    Column("folded", BigInteger, nullable=False, server_default=text("'0'"), comment="how many that were"),
    Column("customers", BigInteger, nullable=False, comment="how many there were when it began"),
    Column("outcome", JSONB, comment="of one that was activated: how many customers came from which stage into which"),
    Column("began_at", Instant, nullable=False, server_default=func.now()),
    Column("ended_at", Instant),
    Index(
        "builds_open_key",
        "journey",
        "version",
        unique=True,
        postgresql_where=text("state IN ('building', 'built')"),
    ),
    CheckConstraint("state IN ('building', 'built', 'activated', 'dropped')", name="state_known"),
    CheckConstraint("(ended_at IS NOT NULL) = (state IN ('activated', 'dropped'))", name="ended_when_it_ended"),
    comment="Versions that are built beside those in force: every customer folded under them",
)

build_customers = Table(
    "build_customers",
    metadata,
    Column("build", BigInteger, nullable=False),
    Column("customer", BigInteger, nullable=False),
    Column(
        "revision",
        BigInteger,
        nullable=False,
        comment="of the customer when this was folded: with another one it is out of date",
    ),
    Column("state", LargeBinary, nullable=False),
    Column("due_at", Instant),
    Column("waiting", Boolean, nullable=False),
    Column("stage_before", Text, comment="in the journey of the build, by the version in force"),
    Column("stage_now", Text, comment="… and by the version that is built"),
    PrimaryKeyConstraint("build", "customer"),
    CheckConstraint("NOT waiting OR due_at IS NOT NULL", name="who_waits_is_due"),
    comment="Customers as a build has them; the other columns are those of customers",
)

build_transitions = Table(
    "build_transitions",
    metadata,
    Column("build", BigInteger, nullable=False),
    Column("customer", BigInteger, nullable=False),
    Column("transition", LargeBinary, nullable=False),
    Column("journey", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("from_stage", Text),
    Column("to_stage", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("place", Integer, nullable=False),
    Column("rule", Text, nullable=False),
    Column("cause", JSONB, nullable=False),
    PrimaryKeyConstraint("build", "customer", "transition"),
    comment="Transitions as a build has them",
)

build_stays = Table(
    "build_stays",
    metadata,
    Column("build", BigInteger, nullable=False),
    Column("customer", BigInteger, nullable=False),
    Column("journey", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("entered_at", Instant, nullable=False),
    Column("left_at", Instant),
    PrimaryKeyConstraint("build", "customer", "journey", "place"),
    comment="Stays as a build has them",
)

build_facts = Table(
    "build_facts",
    metadata,
    Column("build", BigInteger, nullable=False),
    Column("customer", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("journey", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("cause", JSONB, nullable=False),
    Column("detail", JSONB, nullable=False),
    PrimaryKeyConstraint("build", "customer", "place"),
    comment="Facts as a build has them",
)
