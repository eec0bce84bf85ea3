"""Random numbers of the data pipeline."""

from __future__ import annotations

import random

import numpy as np


def generator() -> np.random.Generator:
    """A numpy generator seeded from Python's global one.

    MMEngine seeds Python's generator in every worker and rank, so runs are reproducible, and no
    state is kept here that a forked worker would share with its siblings.
    """
    return np.random.default_rng(random.getrandbits(64))
