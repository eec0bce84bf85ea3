"""A batch of annotations as stacked tensors: what losses, priors and guidance read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from handzoo.errors import DataError
from handzoo.structures.sample import HandDataSample


@dataclass
class HandTargets:
    """Stacked fields of :class:`~handzoo.structures.HandDataSample`; shapes gain a leading B.

    ``view2_image`` (B, 3, H, W) uint8, ``view2_rotation`` (B,) and ``view2_scale`` (B,) are there
    only when the pipeline made a second view of every image.
    """

    joints3d: Tensor
    joints3d_valid: Tensor
    joints2d: Tensor
    joints2d_valid: Tensor
    vertices: Tensor
    vertices_valid: Tensor
    root: Tensor
    root_valid: Tensor
    K: Tensor
    K_valid: Tensor
    pose: Tensor
    shape: Tensor
    mano_valid: Tensor
    aug_rotation: Tensor
    aug_scale: Tensor
    gesture: Tensor
    prompts: list[str] = field(default_factory=list)
    view2_image: Tensor | None = None
    view2_rotation: Tensor | None = None
    view2_scale: Tensor | None = None

    @classmethod
    def from_samples(cls, samples: Sequence[HandDataSample]) -> HandTargets:
        """Stack samples.

        Args:
            samples: B samples that all carry the annotation fields.

        Raises:
            DataError: there are no samples, or a field is missing in some of them.
        """
        if not samples:
            raise DataError("cannot make targets from an empty batch")
        stacked: dict[str, Tensor | list[str]] = {
            "prompts": [sample.get("prompt", "") for sample in samples]
        }
        for spec in fields(cls):
            if spec.name == "prompts":
                continue
            present = [spec.name in sample for sample in samples]
            if all(present):
                stacked[spec.name] = torch.stack([sample.get(spec.name) for sample in samples])
            elif any(present) or not spec.name.startswith("view2_"):
                lacking = samples[present.index(False)].get("img_path", "a sample")
                raise DataError(
                    f"{lacking} has no field {spec.name!r}: start its annotation from "
                    "handzoo.structures.empty_annotation()"
                )
        return cls(**stacked)

    def __len__(self) -> int:
        return len(self.joints3d)

    def to(self, device: torch.device | str) -> HandTargets:
        """Copy with every tensor on ``device``."""
        moved = {
            spec.name: value.to(device, non_blocking=True)
            for spec in fields(self)
            if isinstance(value := getattr(self, spec.name), Tensor)
        }
        return replace(self, **moved)
