"""From a loader's batch to what the estimator takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from handzoo.errors import DataError
from handzoo.registry import ESTIMATORS

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@ESTIMATORS.register_module()
class HandDataPreprocessor(BaseDataPreprocessor):
    """Stack RGB images and normalise them; annotations pass through.

    Args:
        mean, std: for each channel, in units of pixels from 0 to 255.
        channels_last: give the images that memory format.
    """

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        channels_last: bool = False,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        for name, values in (("mean", mean), ("std", std)):
            # On the CPU even where the model is laid out on the meta device: it has to be read.
            value = torch.tensor(tuple(values), device="cpu").view(3, 1, 1)
            self.register_buffer(name, value, persistent=False)
        self.channels_last = channels_last

    def normalize(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB of 0 to 255 -> the network's input, float32 on this module's device."""
        images = images.to(self.mean.device, non_blocking=True)
        images = (images.float() - self.mean) / self.std
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch.

        Args:
            data: ``inputs``, a list of (3, H, W) or a tensor (B, 3, H, W), 0 to 255; optionally
                ``data_samples``.
            training: not used; augmentation is the pipeline's work.

        Raises:
            DataError: images of a batch differ in size, or are not RGB.
        """
        inputs = data["inputs"]
        if not isinstance(inputs, Tensor):
            shapes = {tuple(image.shape) for image in inputs}
            if len(shapes) != 1:
                raise DataError(
                    f"the images of a batch have the sizes {sorted(shapes)}: let the pipeline "
                    "crop them to one size."
                )
            inputs = torch.stack(list(inputs))
        if inputs.dim() != 4 or inputs.shape[1] != 3:
            raise DataError(f"expected RGB images (B, 3, H, W), got {tuple(inputs.shape)}.")
        samples = data.get("data_samples")
        return {"inputs": self.normalize(inputs), "data_samples": self.cast_data(samples)}
