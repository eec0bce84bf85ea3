"""What a packed sample must be; data sets and transforms are both held to it.

The contract is :class:`handzoo.structures.HandDataSample`'s docstring. The bounds on lengths are
wide: they tell metres from millimetres and the wrist's frame from the camera's, nothing finer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from handzoo.hands.camera import perspective_project
from handzoo.hands.gestures import GESTURES
from handzoo.structures import HandDataSample, empty_annotation
from handzoo.testing.drivers import require

# Field -> the flag that says whether it is annotated.
_FLAG_OF = {
    "joints3d": "joints3d_valid",
    "joints2d": "joints2d_valid",
    "vertices": "vertices_valid",
    "root": "root_valid",
    "K": "K_valid",
    "pose": "mano_valid",
    "shape": "mano_valid",
}
_REACH = 0.5  # metres; no point of a hand is farther from its wrist
_FRAME_HINT = "give metres, relative to the wrist, in the camera's axes"
_PIXELS = 1.0  # annotation that was made by projection agrees to much less


def seed_everything(seed: int) -> None:
    """Seed the generators that MMEngine seeds in every DataLoader worker."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (transforms of others may draw from it)
    torch.manual_seed(seed)


def check_item(item: Any, where: str) -> HandDataSample:
    """Check all that holds for a packed sample; returns its ``data_samples``.

    Args:
        item: what a data set returns: ``inputs`` uint8 (3, H, W) RGB, ``data_samples``.
        where: what errors call it, such as ``sample 3``.

    Raises:
        ConformanceError: a field is missing or has another shape or type, a value contradicts
            its flag or cannot be metres, or 2D, 3D and camera disagree.
    """
    require(
        isinstance(item, Mapping) and {"inputs", "data_samples"} <= set(item),
        f"{where} must be dict(inputs=..., data_samples=...), as PackHandInputs makes it",
    )
    image, sample = item["inputs"], item["data_samples"]
    require(
        isinstance(image, Tensor) and image.dtype == torch.uint8 and image.shape[:-2] == (3,),
        f"{where}: inputs must be a uint8 (3, H, W) tensor",
    )
    check_fields(sample, where)
    check_values(sample, where)
    check_projection(sample, where)
    return sample


def check_fields(sample: Any, where: str) -> None:
    """Every field of the contract is there with its shape and dtype."""
    require(
        isinstance(sample, HandDataSample),
        f"{where}: data_samples must be a HandDataSample, not {type(sample).__name__}",
    )
    for name, blank in empty_annotation().items():
        value = sample.get(name)
        require(
            isinstance(value, Tensor) and value.shape == blank.shape and value.dtype == blank.dtype,
            f"{where}: {name} must be a {tuple(blank.shape)} tensor of {blank.dtype}; start from "
            "handzoo.structures.empty_annotation()",
        )
    require(isinstance(sample.get("prompt", ""), str), f"{where}: prompt must be text")


def check_values(sample: HandDataSample, where: str) -> None:
    """Values are finite, blank where the flag is false, and metres where it is true."""
    blank = empty_annotation()
    for name, expected in blank.items():
        value = sample.get(name)
        require(torch.isfinite(value).all(), f"{where}: {name} is not finite")
        if name in _FLAG_OF:
            unknown = ~sample.get(_FLAG_OF[name])
            require(
                torch.equal(value[unknown], expected[unknown]),
                f"{where}: {name} is not annotated by {_FLAG_OF[name]} and yet has a value; a "
                "batch is safe only if such values are blank (zero; the camera: identity)",
            )
    _check_lengths(sample, where)
    require(float(sample.aug_scale) > 0, f"{where}: aug_scale must be positive")
    largest = float(sample.pose.abs().max())
    require(largest < 10, f"{where}: pose reaches {largest:.3g}; give axis-angles in radians")
    gesture = int(sample.gesture)
    require(
        -1 <= gesture < len(GESTURES),
        f"{where}: gesture {gesture} is neither -1 nor an index into GESTURES",
    )
    if gesture >= 0 and sample.get("gesture_name") is not None:
        require(
            sample.gesture_name == GESTURES[gesture],
            f"{where}: gesture {gesture} is {GESTURES[gesture]!r}, not {sample.gesture_name!r}",
        )


def _check_lengths(sample: HandDataSample, where: str) -> None:
    known = sample.joints3d[sample.joints3d_valid]
    if len(known):
        largest = float(known.norm(dim=-1).max())
        require(largest < _REACH, f"{where}: a joint is {largest:.3g} from the root; {_FRAME_HINT}")
    if len(known) > 1:
        extent = float(torch.cdist(known, known).max())
        require(extent > 0.005, f"{where}: the joints span {extent:.3g}; {_FRAME_HINT}")
    if sample.joints3d_valid[0]:
        offset = float(sample.joints3d[0].norm())
        require(
            offset < 1e-4,
            f"{where}: joints3d puts the wrist at {offset:.3g} m from itself; {_FRAME_HINT}",
        )
    if sample.root_valid:
        depth = float(sample.root[2])
        require(
            0.05 < depth < 20,
            f"{where}: root lies at z = {depth:.3g}; give metres, z forward from the camera",
        )
    if sample.vertices_valid:
        largest = float(sample.vertices.norm(dim=-1).max())
        require(
            0.01 < largest < _REACH,
            f"{where}: a vertex is {largest:.3g} from the root; {_FRAME_HINT}",
        )
        low, high = sample.vertices.min(dim=0).values, sample.vertices.max(dim=0).values
        inside = ((known > low - 0.02) & (known < high + 0.02)).all()
        require(inside, f"{where}: joints3d lies outside the mesh; both are relative to one wrist")


def check_projection(sample: HandDataSample, where: str) -> None:
    """Where all of it is annotated, ``K`` projects ``joints3d + root`` to ``joints2d``."""
    if not sample.K_valid:
        return
    last = sample.K[2] - torch.tensor([0.0, 0.0, 1.0])
    require(
        float(last.abs().max()) < 1e-4 and float(sample.K[0, 0]) > 0,
        f"{where}: K must be a pinhole camera of the crop's pixels, [[fx, ...], [...], [0, 0, 1]]",
    )
    both = sample.joints3d_valid & sample.joints2d_valid
    if not (sample.root_valid and both.any()):
        return
    points = sample.joints3d[both] + sample.root
    require((points[:, 2] > 0).all(), f"{where}: a joint is behind the camera; z points forward")
    projected = perspective_project(points[None].double(), sample.K[None].double())[0]
    error = float((projected - sample.joints2d[both]).norm(dim=-1).max())
    require(
        error < _PIXELS,
        f"{where}: K projects joints3d + root {error:.3g} pixels away from joints2d; change the "
        "picture, 2D, 3D and the camera together",
    )


def same_items(found: Mapping[str, Any], wanted: Mapping[str, Any], message: str) -> None:
    """Raise unless two packed samples hold equal tensors and meta information."""
    require(torch.equal(found["inputs"], wanted["inputs"]), f"{message}: inputs differ")
    first, second = found["data_samples"], wanted["data_samples"]
    require(set(first.all_keys()) == set(second.all_keys()), f"{message}: the fields differ")
    for name in first.all_keys():
        a, b = first.get(name), second.get(name)
        if isinstance(a, Tensor):
            equal = a.shape == b.shape and torch.equal(a, b)
        else:
            equal = np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
        require(equal, f"{message}: {name} differs")
