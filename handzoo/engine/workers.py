"""Workers that outlive the signals that end a training, so that the run ends in order.

Ctrl-C in a terminal, ``timeout`` and a cluster's scheduler send their signal to every process of
the run. Workers would die of it at once, and the main process then of their death, before it could
save its checkpoint. So workers leave such signals to the main process, which ends them itself.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

from torch.utils.data import DataLoader


def shield_workers(loader: DataLoader) -> DataLoader:
    """Let the workers of a loader ignore SIGINT and SIGTERM, unless the main process sends it."""
    loader.worker_init_fn = _Shielded(loader.worker_init_fn)
    return loader


class _Shielded:
    """What a worker runs first; a class, so that it can be sent to a spawned process."""

    def __init__(self, inner: Callable[[int], None] | None) -> None:
        self.inner = inner

    def __call__(self, worker: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(signal, "sigwaitinfo"):  # Linux; elsewhere SIGTERM keeps its meaning
            # Threads that are started from here on have it blocked as well.
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            threading.Thread(target=_obey_parent, args=(os.getppid(),), daemon=True).start()
        if self.inner is not None:
            self.inner(worker)


def _obey_parent(parent: int) -> None:
    """Wait for SIGTERM and end this process when its parent sent it."""
    while True:
        if signal.sigwaitinfo([signal.SIGTERM]).si_pid == parent:
            os._exit(0)
