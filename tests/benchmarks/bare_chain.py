"""The ingest of the bare chain: `bare_ingest` taking whole touchpoints, so that `bare_stager` can read what it wrote.

`python -m tests.benchmarks.bare_chain PORT BOOTSTRAP TOPIC` serves POST /bare: an array of touchpoints.
"""

import sys
from typing import Any

import msgspec
import uvicorn

from journey.touchpoint import Touchpoint
from tests.benchmarks.bare_ingest import Bare


class BareTouchpoints(Bare):
    """The ASGI application."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(bootstrap, topic)
        self._decode: Any = msgspec.json.Decoder(list[Touchpoint]).decode


if __name__ == "__main__":
    port, bootstrap, topic = sys.argv[1:]
    uvicorn.run(BareTouchpoints(bootstrap, topic), port=int(port), log_level="warning", access_log=False)
