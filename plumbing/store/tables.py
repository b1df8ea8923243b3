"""The tables of Jalon's store, and in their comments what each row means.

Invariants that must hold whatever the code does are CHECK constraints and unique indexes here too. Instants are
`timestamptz`; digests are 16 bytes of a keyed HMAC-SHA-256 (`plumbing/store/sealing.py`). Customers are named inside
the store by a number (`customer`) that never leaves it: the outside knows the id minted by an identifier. That number
has no foreign keys: the stager holds the customer's row locked whenever it writes, and a check for each of the rows
of a batch would cost as much as writing them.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from plumbing.store.metadata import metadata

Instant = DateTime(timezone=True)


def _digest(column: str) -> CheckConstraint:
    return CheckConstraint(f"octet_length({column}) = 16", name=f"{column}_is_16_bytes")


positions = Table(
    "positions",
    metadata,
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("log_id", Text, nullable=False, comment="the cluster and topic of the offsets"),
    Column("next_offset", BigInteger, nullable=False, comment="the first record that is not yet in the store"),
    Column("epoch", BigInteger, nullable=False, comment="raised by each takeover; fences the owner before"),
    Column("owner", Text, nullable=False, comment="who took over last, for people"),
    Column("read_to", Instant, nullable=False, comment="what was received before is in the store"),
    PrimaryKeyConstraint("topic", "partition"),
    CheckConstraint("next_offset >= 0", name="next_offset_not_negative"),
    CheckConstraint("epoch >= 0", name="epoch_not_negative"),
    comment="How far the stager has read each partition; offsets committed to Kafka only serve lag tools",
)

horizon = Table(
    "horizon",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("reached_at", Instant, nullable=False),
    CheckConstraint("one", name="one_row"),
    comment="The instant up to which time has passed for every customer: the least read_to, and never moved back",
)

customers = Table(
    "customers",
    metadata,
    Column("customer", BigInteger, Identity(), primary_key=True),
    Column("state", LargeBinary, nullable=False, comment="journey.state.CustomerState; empty: never folded"),
    Column("due_at", Instant, comment="not before then is there something to elapse: a timer, a touchpoint that waits"),
    Column("waiting", Boolean, nullable=False, server_default=text("false"), comment="has touchpoints beyond it"),
    Column("revision", BigInteger, nullable=False, server_default=text("0"), comment="raised by each change of state"),
    # the last column: most of it stays as it is, and of a row Postgres does not log what both versions end with
    Column(
        "recent",
        LargeBinary,
        nullable=False,
        server_default=text("''::bytea"),
        comment="journey.recent: earlier states and the touchpoints since; empty: what is late reads history",
    ),
    Index("customers_due_at_idx", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    CheckConstraint("NOT waiting OR due_at IS NOT NULL", name="who_waits_is_due"),
    comment="One row a customer: the fold state of all their journeys",
    # room to rewrite a row in place; and rows of some kB as they are: to compress them takes longer than to write them
    postgresql_with={"fillfactor": 70, "toast_tuple_target": 4080},
)

identifiers = Table(
    "identifiers",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="HMAC of scope, kind and value; its hex is a customer id"),
    Column("kind", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False, comment="the value, encrypted (AES-GCM)"),
    Column("customer", BigInteger, comment="null: a device of which nothing is left unclaimed"),
    Column("first_at", Instant, nullable=False, comment="occurred_at of the earliest touchpoint that carries it"),
    Column(
        "shared",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="so many of its links are refused that it links nothing",
    ),
    Index("identifiers_customer_idx", "customer"),
    Index("identifiers_shared_idx", "digest", postgresql_where=text("shared")),
    _digest("digest"),
    comment=(
        "Who an identifier stands for. Strong ones of one person share a customer; a weak one or a reference has the "
        "customer who owns what nobody has claimed"
    ),
)

holdings = Table(
    "holdings",
    metadata,
    Column("device", LargeBinary, ForeignKey("identifiers.digest"), nullable=False),
    Column("since_at", Instant, nullable=False),
    Column("since_sequence", BigInteger, nullable=False),
    Column("since_source", Text(collation="C"), nullable=False),
    Column("since_id", Text(collation="C"), nullable=False),
    Column("owner", LargeBinary, ForeignKey("identifiers.digest"), comment="null: signed out"),
    PrimaryKeyConstraint("device", "since_at", "since_sequence", "since_source", "since_id"),
    comment=(
        "The sign-outs and sign-ins on a device (or uses of a reference), but for those that repeat what holds anyway. "
        "The owner is named by the strongest identifier they signed in with"
    ),
)

links = Table(
    "links",
    metadata,
    Column("one", LargeBinary, ForeignKey("identifiers.digest"), nullable=False),
    Column("other", LargeBinary, ForeignKey("identifiers.digest"), nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("first_source", Text(collation="C"), nullable=False),
    Column("first_id", Text(collation="C"), nullable=False),
    Column("refused", Boolean, nullable=False, comment="it would have welded two people: a conflict"),
    PrimaryKeyConstraint("one", "other"),
    Index("links_other_idx", "other"),
    Index("links_refused_idx", "one", "other", postgresql_where=text("refused")),
    comment=(
        "Strong identifiers that met in a touchpoint, the higher one first, and where in the order they first did"
    ),
)

commands = Table(
    "commands",
    metadata,
    Column("command", BigInteger, Identity(), primary_key=True),
    Column("verb", Text, nullable=False),
    Column("one", LargeBinary, comment="digest of the first identifier of a pair, or of the one that is struck"),
    Column("other", LargeBinary),
    Column("source", Text(collation="C")),
    Column("id", Text(collation="C")),
    Column("kinds", ARRAY(Text), nullable=False, comment="of one and other, as they may not be known yet"),
    Column("sealed", ARRAY(LargeBinary), nullable=False, comment="their values, encrypted"),
    Column("given_by", Text, nullable=False, comment="name of the key"),
    Column("given_at", Instant, nullable=False, server_default=func.now()),
    Column("undone_at", Instant),
    Column(
        "pending",
        Boolean,
        nullable=False,
        server_default=text("true"),
        comment="no stager has seen it, or its undoing, yet",
    ),
    CheckConstraint("verb IN ('join', 'split', 'strike', 'void')", name="verb_known"),
    CheckConstraint(
        "(other IS NOT NULL) = (verb IN ('join', 'split')) AND (other IS NULL OR one < other)", name="pairs_are_ordered"
    ),
    CheckConstraint(
        "(verb IN ('strike', 'void')) = (source IS NOT NULL AND id IS NOT NULL)", name="others_name_a_touchpoint"
    ),
    CheckConstraint("(verb = 'void') = (one IS NULL)", name="all_but_void_name_identifiers"),
    Index("commands_one_idx", "one", postgresql_where=text("other IS NOT NULL AND undone_at IS NULL")),
    Index("commands_other_idx", "other", postgresql_where=text("other IS NOT NULL AND undone_at IS NULL")),
    Index("commands_touchpoint_idx", "source", "id", postgresql_where=text("source IS NOT NULL AND undone_at IS NULL")),
    Index("commands_pending_idx", "command", postgresql_where=text("pending")),
    comment=("What people say about whose touchpoints are whose; the last on the same object that is not undone holds"),
)

carried = Table(
    "carried",
    metadata,
    Column("identifier", LargeBinary, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("source", Text(collation="C"), nullable=False),
    Column("id", Text(collation="C"), nullable=False),
    Column("by_device", Boolean, nullable=False, comment="the touchpoint carries a weak identifier"),
    PrimaryKeyConstraint("identifier", "occurred_at", "sequence", "source", "id"),
    comment="Which touchpoints without a strong identifier carry a device or reference",
)

touchpoints = Table(
    "touchpoints",
    metadata,
    Column("source", Text(collation="C"), nullable=False),
    Column("id", Text(collation="C"), nullable=False),
    Column("customer", BigInteger, comment="null: it is void, or what named somebody is struck"),
    Column("occurred_at", Instant, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("type", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("device", LargeBinary, comment="decides whose it is, without a strong identifier"),
    Column("owner", LargeBinary, comment="the identifier whose customer that is"),
    Column("body", LargeBinary, nullable=False, comment="the rest, as JSON, identifiers as digests"),
    Column("conflicts", Integer, nullable=False, server_default=text("0"), comment="copies with another body"),
    PrimaryKeyConstraint("source", "id"),
    Index("touchpoints_order_idx", "customer", "occurred_at", "sequence", "source", "id"),
    CheckConstraint("(customer IS NULL) = (owner IS NULL)", name="whose"),
    comment="Every accepted touchpoint, once: of several copies the one that counts",
)

transitions = Table(
    "transitions",
    metadata,
    Column("customer", BigInteger, nullable=False),
    Column("transition", LargeBinary, nullable=False, comment="hash of what it says"),
    Column("learned_at", Instant, nullable=False),
    Column("retracted_at", Instant, comment="when a late touchpoint took it back"),
    Column("journey", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("from_stage", Text),
    Column("to_stage", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("place", Integer, nullable=False, comment="order among the customer's transitions of the same instant"),
    Column("rule", Text, nullable=False),
    Column("cause", JSONB, nullable=False),
    PrimaryKeyConstraint("customer", "transition", "learned_at"),
    Index(
        "transitions_live_key",
        "customer",
        "transition",
        unique=True,
        postgresql_where=text("retracted_at IS NULL"),
    ),
    Index("transitions_order_idx", "customer", "occurred_at"),
    CheckConstraint("retracted_at IS NULL OR retracted_at >= learned_at", name="retracted_after_learned"),
    CheckConstraint("run >= 1", name="runs_count_from_one"),
    _digest("transition"),
    comment="What was told about a customer: a live row holds, a retracted one is the audit of what was once believed",
)

stays = Table(
    "stays",
    metadata,
    Column("customer", BigInteger, nullable=False),
    Column("journey", Text, nullable=False),
    Column("place", Integer, nullable=False, comment="0 for the customer's first stay in this journey"),
    Column("run", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("entered_at", Instant, nullable=False),
    Column("left_at", Instant),
    PrimaryKeyConstraint("customer", "journey", "place"),
    Index("stays_current_key", "customer", "journey", unique=True, postgresql_where=text("left_at IS NULL")),
    Index("stays_stage_idx", "journey", "stage", "entered_at", "customer", postgresql_where=text("left_at IS NULL")),
    CheckConstraint("left_at IS NULL OR left_at >= entered_at", name="left_after_entered"),
    comment="Each stay of a customer in a stage; the current one has no left_at",
)

facts = Table(
    "facts",
    metadata,
    Column("customer", BigInteger, nullable=False),
    Column("place", Integer, nullable=False, comment="order among the customer's facts"),
    Column("journey", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("stage", Text, nullable=False),
    Column("cause", JSONB, nullable=False),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("customer", "place"),
    Index("facts_kind_idx", "journey", "kind", "name", "occurred_at"),
    comment="What a fold finds besides transitions: pains, moments of truth, measures, dead time, actions, refusals",
)

outbox = Table(
    "outbox",
    metadata,
    Column("entry", BigInteger, Identity(), primary_key=True),
    Column("message", LargeBinary, nullable=False, comment="hash of what it says: the same after a restored backup"),
    Column("journey", Text, nullable=False),
    Column("written_at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="JSON"),
    _digest("message"),
    comment="Messages of committed batches that are not numbered yet",
)

feed = Table(
    "feed",
    metadata,
    Column("feed_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("message", LargeBinary, nullable=False),
    Column("journey", Text, nullable=False),
    Column("written_at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("feed_message_idx", "message"),
    comment="The numbered messages, gapless, in the order in which every reader sees them",
)

feed_head = Table(
    "feed_head",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("last_seq", BigInteger, nullable=False),
    CheckConstraint("one", name="one_row"),
    comment="The last number given; its row lock makes the sequencers take turns",
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("letter", BigInteger, Identity(), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Column("source", Text, comment="as the record's header names it, when it does"),
    Column("reason", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False, comment="the original bytes"),
    Column("headers", LargeBinary, nullable=False, comment="MessagePack list of [name, bytes]"),
    Column("rejected_at", Instant, nullable=False),
    Index("dead_letters_position_key", "topic", "partition", "log_offset", unique=True),
    comment="Records that could not become touchpoints",
)

keys = Table(
    "keys",
    metadata,
    Column("key", Text, primary_key=True, comment="public name of the key"),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the secret"),
    Column("kind", Text, nullable=False),
    Column("source", Text),
    Column("channel", Text),
    Column("scopes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("revoked_at", Instant),
    CheckConstraint("kind IN ('write', 'api')", name="kind_known"),
    CheckConstraint("(kind = 'write') = (source IS NOT NULL AND channel IS NOT NULL)", name="write_keys_name_a_source"),
    CheckConstraint("octet_length(digest) = 32", name="digest_is_32_bytes"),
    comment="Write keys of sources and tokens of readers; the secrets themselves are never stored",
)

definitions = Table(
    "definitions",
    metadata,
    Column("journey", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False, comment="the YAML as written, comments included"),
    Column("active", Boolean, nullable=False),
    Column("published_at", Instant, nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("journey", "version"),
    Index("definitions_active_key", "journey", unique=True, postgresql_where=text("active")),
    comment="Journey definitions; a published version never changes",
)
