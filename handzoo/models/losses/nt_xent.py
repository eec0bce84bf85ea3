"""NT-Xent, the contrastive loss of SimCLR."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    """Normalised temperature-scaled cross entropy (Chen et al., ICML 2020, equation 1).

    Row i of ``first`` and row i of ``second`` are a positive pair; the other 2B - 2 rows of both
    are negatives. Computed in float32.

    Args:
        first, second: (B, C).
        temperature: the smaller, the more the hardest negatives count.

    Returns:
        Scalar, the mean over all 2B rows.
    """
    with torch.autocast(first.device.type, enabled=False):
        rows = F.normalize(torch.cat([first, second]).float(), dim=1)
        similarity = rows @ rows.T / temperature
        itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        similarity = similarity.masked_fill(itself, float("-inf"))
        partner = torch.arange(len(rows), device=rows.device).roll(len(first))
        return F.cross_entropy(similarity, partner)
