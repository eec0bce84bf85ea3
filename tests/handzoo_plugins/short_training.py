"""A few steps of training, for tests that a method's parts and losses fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def train_a_few_steps(
    model: nn.Module, compute: Callable[[], Mapping[str, Tensor]], steps: int = 5
) -> tuple[list[float], Mapping[str, Tensor]]:
    """Lower the sum of what ``compute`` gives. -> the sum at each step, the last losses."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    totals = []
    for _ in range(steps):
        losses = compute()
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    return totals, losses


def losses_on(model: nn.Module, images: Tensor, targets: object) -> dict[str, Tensor]:
    """All losses of an estimator on targets, without samples around them."""
    prediction = model.estimate(model.extract(images), targets)
    losses: dict[str, Tensor] = {}
    for module in model.losses:
        losses |= module(prediction, targets)
    return losses
