"""What is a little late is folded from the customer's own row."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "customers",
        sa.Column(
            "recent",
            sa.LargeBinary,
            nullable=False,
            server_default=sa.text("''::bytea"),
            comment="journey.recent: earlier states and the touchpoints since; empty: what is late reads history",
        ),
    )
    op.execute("ALTER TABLE customers SET (toast_tuple_target = 4080)")
