"""A small causal network: what to add to the newest frame of a window of predictions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.hands.conventions import NUM_JOINTS

WINDOW = 16  # frames that an output depends on
_DILATIONS = (1, 2, 4)  # with kernel 3: 15 steps between 16 frames
_JOINT_UNIT = 0.1  # metres; brings joints to the size of one
_STEP_GAIN = 10.0  # steps from frame to frame are about a tenth of that
_FPS = 30.0  # frame rate whose step counts as zero context


class CausalNetwork(nn.Module):
    """Dilated causal convolutions over the steps between frames, gated by pose and frame rate.

    No layer on the way from steps to output has a bias, so a hand that does not change gets
    exactly nothing added, from its first frame on, whatever the weights are. The gates, which see
    the pose itself, only scale what is there.

    Args:
        channels: width of the hidden layers.
    """

    def __init__(self, channels: int = 80) -> None:
        super().__init__()
        size = 3 * NUM_JOINTS + 3
        widths = [size, *[channels] * len(_DILATIONS)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, 3, dilation=d, bias=False)
            for a, b, d in zip(widths, widths[1:], _DILATIONS, strict=False)
        )
        self.gates = nn.ModuleList(nn.Linear(3 * NUM_JOINTS + 1, channels) for _ in _DILATIONS)
        self.out = nn.Conv1d(channels, size, 1, bias=False)
        # A plain filter for each number, beside the network.
        self.linear = nn.Conv1d(size, size, WINDOW - 1, groups=size, bias=False)
        nn.init.zeros_(self.linear.weight)
        nn.init.normal_(self.out.weight, std=1e-2)

    def forward(self, joints: Tensor, camera: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """What to add to each frame; frame t depends on frames t - 15 .. t alone.

        Before its first frame a sequence counts as at rest there.

        Args:
            joints: (B, T, 21, 3) metres, relative to the wrist.
            camera: (B, T, 3) as (log s, u, v), see :class:`handzoo.apis.filters.HandState`.
            dt: (B, T) seconds since the frame before; the first one's does not matter.

        Returns:
            Residuals of joints (B, T, 21, 3), zero for the wrist, and camera (B, T, 3).
        """
        pose = joints.flatten(2) / _JOINT_UNIT
        state = torch.cat((pose, camera), dim=-1)
        steps = torch.diff(state, dim=1, prepend=state[:, :1]).transpose(1, 2) * _STEP_GAIN
        rate = (dt.clamp(min=1e-3) * _FPS).log()[..., None]
        context = torch.cat((pose, rate), dim=-1)
        hidden = steps
        for conv, gate in zip(self.convolutions, self.gates, strict=True):
            padded = F.pad(hidden, (2 * conv.dilation[0], 0))
            new = F.silu(conv(padded)) * (2 * torch.sigmoid(gate(context))).transpose(1, 2)
            hidden = new if hidden is steps else hidden + new
        added = self.out(hidden) + self.linear(F.pad(steps, (WINDOW - 2, 0)))
        added = added.transpose(1, 2) / _STEP_GAIN
        moved = (added[..., :-3] * _JOINT_UNIT).unflatten(-1, (NUM_JOINTS, 3))
        wrist = torch.zeros_like(moved[..., :1, :])
        return torch.cat((wrist, moved[..., 1:, :]), dim=-2), added[..., -3:]
