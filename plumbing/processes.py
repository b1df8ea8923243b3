"""What the operating system does for a process that starts others."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent(by: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` for a child that the kernel is to send the signal `by` when its parent is gone, even killed.

    None where the system cannot (only Linux can). The parent is the thread that starts the child: use the main one.
    """
    if sys.platform != "linux":
        return None
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return prepare
