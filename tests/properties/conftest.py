"""How many examples each law is tried on: hundreds in `make test`, always the same ones; thousands of new ones in
`make test-long`, of which every law is a part.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent

settings.register_profile(
    "usual", max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", settings.get_profile("usual"), max_examples=10_000, derandomize=False)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("long" if wants_long(config) else "usual")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let `-m long` select the laws too."""
    for item in items if wants_long(config) else ():
        if item.path.is_relative_to(HERE):
            item.add_marker("long")


def wants_long(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == "long")
