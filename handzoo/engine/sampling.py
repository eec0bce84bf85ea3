"""Data order and randomness that depend on nothing but seed, epoch and position.

MMEngine seeds a worker once, so that an interrupted run that goes on sees other augmentations
than the run that was never interrupted. Here every sample is drawn with a seed of its own, and a
sampler can start in the middle of an epoch: a resumed run is the same run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import Dataset

from handzoo.registry import DATA_SAMPLERS


def mix_seed(*parts: int) -> int:
    """One 63-bit seed from several integers; neighbours give unrelated seeds (splitmix64)."""
    state = 0x9E3779B97F4A7C15
    for part in parts:
        state = (state ^ (part & 0xFFFFFFFFFFFFFFFF)) & 0xFFFFFFFFFFFFFFFF
        state = (state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


def seed_step(seed: int, iteration: int, rank: int = 0) -> None:
    """Seed Python, numpy and torch (all devices) for one training step."""
    value = mix_seed(seed, iteration, rank)
    random.seed(value)
    np.random.seed(value % 2**32)  # noqa: NPY002  (transforms of others use it)
    torch.manual_seed(value)


class SeededDataset(Dataset):
    """A data set whose sample ``i`` in epoch ``e`` is the same whenever and wherever it is drawn.

    The generators of Python, numpy and torch's CPU are seeded before each sample, so that
    transforms may use any of them. All other attributes are the wrapped data set's.

    Args:
        dataset: the data set.
        seed: the run's seed.
    """

    def __init__(self, dataset: Any, seed: int) -> None:
        self._dataset = dataset
        self._seed = seed
        # Shared memory: persistent workers see the epoch change.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the samples are drawn for."""
        self._epoch[0] = epoch

    def __getitem__(self, index: int) -> Any:
        value = mix_seed(self._seed, int(self._epoch[0]), int(index))
        random.seed(value)
        np.random.seed(value % 2**32)  # noqa: NPY002
        torch.default_generator.manual_seed(value)
        return self._dataset[index]

    def __len__(self) -> int:
        return len(self._dataset)

    def __deepcopy__(self, memo: dict[int, Any]) -> SeededDataset:
        # MMEngine copies a loader's config with the data set in it. A copy would cost memory, and
        # its epoch would no longer be the one that the workers share.
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # unpickling asks before __init__ ran
            raise AttributeError(name)
        return getattr(self._dataset, name)


@DATA_SAMPLERS.register_module()
class ResumableSampler(DefaultSampler):
    """MMEngine's default sampler, able to start an epoch in its middle.

    Args:
        dataset: the data set.
        shuffle: whether each epoch has an order of its own.
        seed: seed of the order; the same on all ranks.
        round_up: whether the last batch is filled up so that all ranks have the same number.

    Attributes:
        start: how many of this rank's samples the next iteration leaves out. The length stays
            that of the whole epoch.
    """

    def __init__(
        self,
        dataset: Sequence[Any],
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
    ) -> None:
        super().__init__(dataset, shuffle=shuffle, seed=seed, round_up=round_up)
        self.start = 0

    def __iter__(self) -> Iterator[int]:
        return iter(list(super().__iter__())[self.start :])
