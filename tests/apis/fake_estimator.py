"""An estimator that sees a red dot: the wrist of the same right hand, wherever the dot is."""

from __future__ import annotations

import torch
from torch import nn

from handzoo.hands.camera import pixels_to_normalized
from handzoo.hands.models import load_bundled
from handzoo.hands.topology import build_topology
from handzoo.structures import HandDataSample


class Preprocessor(nn.Module):
    def forward(self, data, training=False):
        return {"inputs": torch.stack(data["inputs"]).float(), "data_samples": None}


class DotEstimator(nn.Module):
    """Puts the wrist at the dot, with 224 pixels to 0.25 m; notes the batches that it saw."""

    def __init__(self):
        super().__init__()
        self.data_preprocessor = Preprocessor()
        hand = load_bundled()
        self.topology = build_topology(hand)
        with torch.no_grad():
            posed = hand(torch.zeros(1, 48))
        self.joints = (posed.joints - posed.joints[:, :1])[0]
        self.vertices = (posed.vertices - posed.joints[:, :1])[0]
        self.batches = []

    def forward(self, inputs, data_samples=None, mode="tensor"):
        assert mode == "predict" and not self.training
        self.batches.append(len(inputs))
        samples = []
        for image in inputs:
            red = (image[0] - image[1]).clamp(min=0) + 1e-9
            rows, columns = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
            dot = torch.stack(((columns * red).sum(), (rows * red).sum())) / red.sum()
            sample = HandDataSample()
            scale = 2 / 0.25
            sample.pred_camera = torch.cat(
                (torch.tensor([scale]), pixels_to_normalized(dot, 224) / scale)
            )
            sample.pred_joints, sample.pred_vertices = self.joints, self.vertices
            samples.append(sample)
        return samples


def dotted(width, height, x, y):
    """A grey picture with a red dot at pixel (x, y)."""
    import cv2
    import numpy as np

    image = np.full((height, width, 3), 100, np.uint8)
    cv2.circle(image, (x, y), 3, (250, 100, 100), -1)
    return image
