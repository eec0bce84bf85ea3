"""Two augmented views of one picture, for contrastive learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handzoo.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TwoViews:
    """Run the same random transforms twice; the first result is the sample (PeCLR [42]).

    Adds ``view2_image`` and ``view2_rotation`` (radians) and ``view2_scale``, both relative to
    the first view: what carries the first view's latent geometry to the second's.

    Args:
        transforms: configs or callables, such as RandomHandAffine and ColorJitter.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        self.transforms = [
            TRANSFORMS.build(step, key=f"transforms[{i}]") if isinstance(step, Mapping) else step
            for i, step in enumerate(transforms)
        ]

    def __call__(self, info: dict[str, Any]) -> dict[str, Any]:
        """Return the first view with the second view's picture and relative geometry."""
        # Transforms replace values and never write into arrays, so a shallow copy is enough.
        first, second = dict(info), dict(info)
        for transform in self.transforms:
            first = transform(first)
        for transform in self.transforms:
            second = transform(second)
        first["view2_image"] = second["image"]
        rotations = [view.get("aug_rotation", 0.0) for view in (first, second)]
        scales = [view.get("aug_scale", 1.0) for view in (first, second)]
        first["view2_rotation"] = rotations[1] - rotations[0]
        first["view2_scale"] = scales[1] / scales[0]
        return first
