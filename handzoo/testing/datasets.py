"""What every data set must do; see :class:`handzoo.datasets.HandDataset`.

A config without a ``pipeline`` is read through :data:`PIPELINE`, which changes nothing but the
size of the picture, so that the annotation itself is what is checked.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from handzoo.registry import DATASETS
from handzoo.structures import HandTargets
from handzoo.testing.configs import check_config
from handzoo.testing.drivers import ConformanceError, Context, require
from handzoo.testing.samples import check_item, same_items, seed_everything

PIPELINE: tuple[Mapping[str, Any], ...] = (
    {"type": "LoadHandImage"},
    {"type": "HandCrop", "policy": "full"},
    {"type": "HandAffine"},
    {"type": "PackHandInputs"},
)
_READ = 6  # samples that are read with their pictures
_LISTED = 2000  # samples whose identifiers are compared


def build_dataset(config: Mapping[str, Any], context: Context) -> Any:
    """Build a data set as a run would, with the plain pipeline if the config names none."""
    pipeline = [dict(step) for step in PIPELINE]
    pipeline[2]["size"] = context.size
    return DATASETS.build(config, key="dataset", pipeline=pipeline)


def _spread(length: int, count: int) -> list[int]:
    return sorted({int(index) for index in np.linspace(0, length - 1, min(length, count))})


def _read(dataset: Any, index: int, seed: int = 0) -> Any:
    seed_everything(seed)
    return dataset[index]


def _contract(role: str, config: Mapping[str, Any], context: Context) -> None:
    """It has a length and a description, and its samples are as HandDataSample's docstring says.

    Values are finite, metres, blank where the flag is false; 2D, 3D and camera agree.
    """
    dataset = build_dataset(config, context)
    length = len(dataset)
    require(length > 0, "it holds no samples here: give a config that finds some")
    require(len(dataset) == length, "len() changes from call to call")
    meta = getattr(dataset, "metainfo", None)
    require(
        isinstance(meta, Mapping) and isinstance(meta.get("dataset"), str),
        "metainfo must be a mapping with the data set's name as 'dataset': results are labelled "
        "with it",
    )
    samples = []
    for index in _spread(length, _READ):
        item = _read(dataset, index)
        samples.append(check_item(item, f"sample {index}"))
    HandTargets.from_samples(samples)  # they stack into a batch
    require(len(dataset) == length, "len() changes while samples are read")


def _identity(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Every sample says where it comes from, and no two have one ``sample_id``.

    Metrics order samples by it, and per-sample results are found by it.
    """
    dataset = build_dataset(config, context)
    listed = hasattr(dataset, "get_data_info")
    seen: dict[Any, int] = {}
    for index in _spread(len(dataset), _LISTED if listed else 4 * _READ):
        known = dataset.get_data_info(index) if listed else dataset[index]["data_samples"]
        for name in ("img_path", "sample_id", "dataset"):
            require(known.get(name) is not None, f"sample {index} has no meta information {name!r}")
        identifier = known.get("sample_id")
        require(
            type(identifier) in (int, str),
            f"sample_id must be an int or a str, not {type(identifier).__name__}",
        )
        require(
            identifier not in seen,
            f"samples {seen.get(identifier)} and {index} have one sample_id, {identifier!r}",
        )
        seen[identifier] = index
    require(
        len({type(identifier) for identifier in seen}) == 1,
        "some sample_ids are numbers and others text, so they have no order",
    )


def _repeatable(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Under one seed an index gives one sample, whatever was read or done to it before."""
    dataset = build_dataset(config, context)
    indices = _spread(len(dataset), 3)
    first = {index: copy.deepcopy(_read(dataset, index)) for index in indices}
    for index in reversed(indices):
        spoilt = _read(dataset, index)
        same_items(spoilt, first[index], f"sample {index} changes from call to call under one seed")
        _spoil(spoilt)
        message = f"sample {index} changes after the one before was written to: hand out copies"
        same_items(_read(dataset, index), first[index], message)


def _spoil(item: Mapping[str, Any]) -> None:
    item["inputs"].fill_(7)
    sample = item["data_samples"]
    for name in sample.all_keys():
        value = sample.get(name)
        if isinstance(value, torch.Tensor):
            value.fill_(1)
        elif isinstance(value, np.ndarray) and value.flags.writeable:
            value.fill(1)


def _bounds(role: str, config: Mapping[str, Any], context: Context) -> None:
    """An index past either end raises IndexError; -1, if it is taken, is the last sample."""
    dataset = build_dataset(config, context)
    length = len(dataset)
    for index in (length, length + 5, -length - 1):
        try:
            dataset[index]
        except IndexError:
            continue
        raise ConformanceError(
            f"index {index} of {length} samples must raise IndexError; loops over a data set end "
            "by it"
        )
    try:
        last = _read(dataset, -1)
    except IndexError:
        return
    same_items(last, _read(dataset, length - 1), "index -1 is not the last sample")


def _worker(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Pickled, as for a DataLoader's spawned worker, it gives the same samples, which pickle."""
    dataset = build_dataset(config, context)
    wanted = _read(dataset, 0)
    try:
        other = pickle.loads(pickle.dumps(dataset))
        found = pickle.loads(pickle.dumps(_read(other, 0)))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConformanceError(
            f"it cannot be sent to a DataLoader's worker: {error}. Keep open files, locks and "
            "lambdas out of it, or open them at first use"
        ) from error
    require(len(other) == len(dataset), "len() differs in a worker")
    same_items(found, wanted, "sample 0 differs in a worker")


def _config(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its config survives being dumped and read again; a wrong argument is refused by name."""
    check_config(config, lambda part: build_dataset(part, context))


CHECKS: tuple[Callable[[str, Mapping[str, Any], Context], None], ...] = (
    _contract,
    _identity,
    _repeatable,
    _bounds,
    _worker,
    _config,
)
