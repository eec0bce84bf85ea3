"""What every estimator returns, whatever its method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor


@dataclass
class HandPrediction:
    """Camera, joints and mesh of a batch of hands; metres, relative to the wrist.

    Attributes:
        camera: (B, 3) weak perspective (s, tx, ty) in the crop.
        joints: (B, 21, 3) joints as the method reports them.
        vertices: (B, 778, 3) mesh.
        joints_from_vertices: (B, 21, 3) joints regressed from the mesh.
        coarse_vertices: (B, 195, 3), or None for a method without a coarse mesh.
        heatmaps: logits by name (``joints``, ``vertices``, and ``..._x2`` at stride 2), or None.
        aux: anything else that a loss of the same method reads, tensors by name.
    """

    camera: Tensor
    joints: Tensor
    vertices: Tensor
    joints_from_vertices: Tensor
    coarse_vertices: Tensor | None = None
    heatmaps: dict[str, Tensor] | None = None
    aux: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.camera)

    def __getitem__(self, index: int | slice) -> HandPrediction:
        """Samples ``index`` of the batch; an integer keeps the batch dimension."""
        if isinstance(index, int):
            index = slice(index, index + 1 or None)
        return self._map(lambda tensor: tensor[index])

    def replace(self, **changes: object) -> HandPrediction:
        """Copy with some fields changed."""
        return replace(self, **changes)

    def to(self, *args: object, **kwargs: object) -> HandPrediction:
        """Copy with ``Tensor.to`` applied to every tensor."""
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    def detach(self) -> HandPrediction:
        """Copy that carries no gradient."""
        return self._map(torch.Tensor.detach)

    def float(self) -> HandPrediction:
        """Copy in float32."""
        return self._map(torch.Tensor.float)

    def _map(self, function: Callable[[Tensor], Tensor]) -> HandPrediction:
        changed: dict[str, object] = {}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, Tensor):
                changed[spec.name] = function(value)
            elif isinstance(value, dict):
                changed[spec.name] = {
                    key: function(item) if isinstance(item, Tensor) else item
                    for key, item in value.items()
                }
            else:
                changed[spec.name] = value
        return HandPrediction(**changed)
