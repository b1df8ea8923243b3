"""The tables of the log in Postgres.

An offset is taken from the partition's row in `log_heads` within the appending transaction, so the second appender
waits for the first to commit: commit order is offset order, a rollback leaves no gap, and a reader that has seen
offset n has seen everything before it.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
)

from plumbing.store.metadata import metadata

log_topics = Table(
    "log_topics",
    metadata,
    Column("topic", Integer, Identity(always=True), primary_key=True, comment="its number inside these tables"),
    Column("name", Text, nullable=False, unique=True),
    Column("log_id", Uuid, nullable=False, server_default=func.gen_random_uuid(), comment="new when made again"),
    Column("partitions", Integer, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("partitions > 0", name="partitions_positive"),
    comment="The topics of the log in Postgres",
)

log_heads = Table(
    "log_heads",
    metadata,
    Column("topic", ForeignKey("log_topics.topic", ondelete="CASCADE"), nullable=False),
    Column("partition", Integer, nullable=False),
    Column("first_offset", BigInteger, nullable=False, server_default="0", comment="the oldest record still held"),
    Column("next_offset", BigInteger, nullable=False, server_default="0", comment="what the next record will get"),
    PrimaryKeyConstraint("topic", "partition"),
    CheckConstraint("partition >= 0", name="partition_not_negative"),
    CheckConstraint("first_offset BETWEEN 0 AND next_offset", name="offsets_in_order"),
    comment="One row a partition, locked by whoever appends to it",
    postgresql_with={"fillfactor": 10},
)

log_records = Table(
    "log_records",
    metadata,
    Column("topic", Integer, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("headers", LargeBinary, nullable=False, comment="MessagePack list of [name, value]"),
    Column("appended_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("topic", "partition", "log_offset"),
    CheckConstraint("log_offset >= 0", name="log_offset_not_negative"),
    comment="The records. No foreign key: every append holds the partition's head, which has one",
)

log_members = Table(
    "log_members",
    metadata,
    Column("topic", ForeignKey("log_topics.topic", ondelete="CASCADE"), nullable=False),
    Column("group_name", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("incarnation", Uuid, nullable=False, comment="which process has the name now; the last one to join wins"),
    Column("seen_at", DateTime(timezone=True), nullable=False, comment="its last heartbeat, by this server's clock"),
    PrimaryKeyConstraint("topic", "group_name", "member"),
    comment="The members of each group of readers that are alive or were a moment ago",
)

log_leases = Table(
    "log_leases",
    metadata,
    Column("topic", ForeignKey("log_topics.topic", ondelete="CASCADE"), nullable=False),
    Column("group_name", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("member", Text, comment="who reads it; null while nobody does"),
    Column("epoch", BigInteger, nullable=False, server_default="0", comment="raised each time it is taken"),
    Column("read_to", BigInteger, comment="the last position its readers told, for people only"),
    PrimaryKeyConstraint("topic", "group_name", "partition"),
    CheckConstraint("epoch >= 0", name="epoch_not_negative"),
    comment="Which member reads which partition: one row, so one owner",
)
