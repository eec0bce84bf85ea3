"""What every transform must do, whichever place in a pipeline it has.

A transform takes a data set's dictionary (:func:`handzoo.datasets.base.empty_info`), may replace
its values and add keys, and returns it; the last one returns a packed sample. It never writes into
the arrays that it is given: those may be a data set's memory, and ``TwoViews`` runs the same ones
twice.
"""

from __future__ import annotations

import copy
import pickle
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from handzoo.datasets.base import empty_info
from handzoo.datasets.transforms import PackHandInputs
from handzoo.errors import HandZooError
from handzoo.registry import TRANSFORMS
from handzoo.testing.configs import check_config
from handzoo.testing.drivers import ConformanceError, Context, require
from handzoo.testing.pictures import make_info, mark_contrast
from handzoo.testing.samples import check_item, same_items, seed_everything

_SEEDS = range(8)
_ANNOTATION = tuple(empty_info())
# What LoadHandImage turns into pixels and takes away.
_CONSUMED = {"bbox_relative", "joints2d_relative"}


def build_transform(config: Mapping[str, Any]) -> Callable[[dict[str, Any]], Any]:
    """Build a transform as a data set would."""
    return TRANSFORMS.build(config, key="pipeline[0]")


def _prepared(context: Context, annotated: bool = True, right: bool = True) -> dict[str, Any]:
    """An input for the transform: the marked picture after the context's ``before``."""
    info = make_info(context.topology, annotated, right)
    seed_everything(0)
    for step in context.before:
        info = build_transform(step)(info)
    return info


def _apply(part: Any, info: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Run the transform on a shallow copy, as ``TwoViews`` does."""
    seed_everything(seed)
    found = part(dict(info))
    require(isinstance(found, dict), f"a transform returns a dictionary, not {found!r}")
    return found


def _is_packed(found: Mapping[str, Any]) -> bool:
    return "data_samples" in found


def _pack(found: Mapping[str, Any]) -> dict[str, Any]:
    return dict(found) if _is_packed(found) else PackHandInputs()(dict(found))


def _contract(role: str, config: Mapping[str, Any], context: Context) -> None:
    """It keeps what the next transform needs, with the shapes that it has, or packs a sample."""
    part = build_transform(config)
    info = _prepared(context)
    found = _apply(part, info)
    if not _is_packed(found):
        lost = [name for name in info if name not in found and name not in _CONSUMED]
        require(not lost, f"it drops {', '.join(lost)}, which what follows needs")
        image = found["image"]
        require(
            isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape[2:] == (3,),
            "image must stay an (H, W, 3) uint8 array",
        )
        for name in _ANNOTATION:
            before, after = np.shape(info[name]), np.shape(found[name])
            require(before == after, f"{name} must stay {before}, not {after}")
    check_item(_pack(found), "the result")


def _untouched(role: str, config: Mapping[str, Any], context: Context) -> None:
    """It never writes into the arrays of its input, whatever their type."""
    part = build_transform(config)
    for dtype in (np.float64, np.float32):
        info = _as_type(_prepared(context), dtype)
        # As in a sample where one joint of 21 is not annotated, so that blanking it is no excuse.
        info["joints2d_valid"] = np.arange(21) > 2
        kept = copy.deepcopy(info)
        result = _apply(part, info)
        changed = _changed(info, kept)
        require(not changed, f"it writes into {', '.join(changed)} of its input: make a new array")
        if _is_packed(result):
            result["inputs"].fill_(7)
            for value in result["data_samples"].values():
                if hasattr(value, "fill_"):
                    value.fill_(1)
            changed = _changed(info, kept)
            require(
                not changed, f"the packed sample shares memory with {', '.join(changed)}: copy it"
            )


def _as_type(info: dict[str, Any], dtype: type) -> dict[str, Any]:
    return {
        name: value.astype(dtype)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        else value
        for name, value in info.items()
    }


def _changed(info: Mapping[str, Any], kept: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, value in kept.items()
        if isinstance(value, np.ndarray) and not np.array_equal(info[name], value)
    ]


def _geometry(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Picture, 2D, 3D and camera stay together, for right hands and for left ones."""
    part = build_transform(config)
    for right in (True, False):
        contrast: list[float] = []
        info = _prepared(context, right=right)
        for seed in _SEEDS:
            side = "right" if right else "left"
            packed = _pack(_apply(part, info, seed))
            sample = check_item(packed, f"a {side} hand under seed {seed}")
            require(
                sample.joints2d_valid.all() and sample.K_valid and sample.vertices_valid,
                "annotation is lost; a point outside the picture stays annotated, since a "
                "projection can be right or wrong there",
            )
            contrast += mark_contrast(packed["inputs"], sample.joints2d)
        # An occluder may hide some marks in some draws, and a crop may leave them outside.
        require(
            contrast and statistics.median(contrast) > 0.4,
            f"the joints of a {side} hand are not where joints2d says: picture and annotation "
            "must move together",
        )


def _repeatable(role: str, config: Mapping[str, Any], context: Context) -> None:
    """It draws from the generators that are seeded for every sample, and remembers nothing."""
    part = build_transform(config)
    info = _prepared(context)
    first = [_pack(_apply(part, info, seed)) for seed in _SEEDS]
    for seed in _SEEDS:
        again = _pack(_apply(part, info, seed))
        same_items(
            again,
            first[seed],
            "the same input under the same seed gives something else: draw from "
            "handzoo.datasets.randomness.generator()",
        )


def _unannotated(role: str, config: Mapping[str, Any], context: Context) -> None:
    """A picture of which nothing is known goes through, and nothing becomes known.

    A transform that cannot do without annotation says so in an error of HandZoo.
    """
    part = build_transform(config)
    info = _prepared(context, annotated=False)
    try:
        found = _apply(part, info)
    except HandZooError:
        return
    except Exception as error:
        raise ConformanceError(
            "it fails on a sample without annotation. Look at the *_valid flags, or raise "
            f"DataError that says what is needed ({type(error).__name__}: {error})"
        ) from error
    sample = check_item(_pack(found), "a sample without annotation")
    flags = [name for name in sample.all_keys() if name.endswith("_valid")]
    raised = [name for name in flags if sample.get(name).any()]
    require(not raised, f"{', '.join(raised)} became true though nothing is annotated")


def _worker(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Pickled, as for a DataLoader's spawned worker, it does the same."""
    part = build_transform(config)
    info = _prepared(context)
    try:
        other = pickle.loads(pickle.dumps(part))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConformanceError(f"it cannot be sent to a DataLoader's worker: {error}") from error
    found, wanted = (_pack(_apply(one, info, seed=1)) for one in (other, part))
    same_items(found, wanted, "in a worker it gives something else")


def _config(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its config survives being dumped and read again; a wrong argument is refused by name."""
    check_config(config, build_transform)


CHECKS: tuple[Callable[[str, Mapping[str, Any], Context], None], ...] = (
    _contract,
    _untouched,
    _geometry,
    _repeatable,
    _unannotated,
    _worker,
    _config,
)
