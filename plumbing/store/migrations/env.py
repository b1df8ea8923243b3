"""What Alembic runs: always on the connection that `plumbing.store.migrate` gives it, in that transaction."""

from alembic import context

import plumbing.log.tables
import plumbing.store.build_tables
import plumbing.store.tables  # noqa: F401 - declares the tables
from plumbing.store.metadata import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
