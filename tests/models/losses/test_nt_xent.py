"""NT-Xent against its definition."""

import math

import pytest
import torch

from handzoo.models.losses import nt_xent


def definition(first, second, temperature):
    """SimCLR's equation 1 as loops in float64."""
    rows = torch.cat([first, second]).double()
    count, half = len(rows), len(first)

    def similarity(i, j):
        return float(rows[i] @ rows[j] / (rows[i].norm() * rows[j].norm()))

    total = 0.0
    for i in range(count):
        partner = (i + half) % count
        positive = math.exp(similarity(i, partner) / temperature)
        others = sum(math.exp(similarity(i, k) / temperature) for k in range(count) if k != i)
        total -= math.log(positive / others)
    return total / count


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_definition(temperature):
    torch.manual_seed(0)
    first, second = torch.randn(5, 7), torch.randn(5, 7)
    found = float(nt_xent(first, second, temperature))
    assert found == pytest.approx(definition(first, second, temperature), rel=1e-5)


def test_pairs_that_agree_lose_less():
    rows = torch.eye(6)
    assert nt_xent(rows, rows) < nt_xent(rows, rows.roll(1, 0))


def test_float32_under_autocast():
    torch.manual_seed(0)
    first, second = torch.randn(4, 8), torch.randn(4, 8)
    wanted = nt_xent(first, second, 0.05)
    with torch.autocast("cpu", torch.bfloat16):
        found = nt_xent(first, second, 0.05)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted)
