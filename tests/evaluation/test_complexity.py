"""Counted operations against hand-computed ones."""

import time

import pytest
import torch
from torch import nn

from handzoo.evaluation.complexity import (
    ComplexityError,
    count_macs,
    count_parameters,
    measure_interleaved,
    peak_activation_bytes,
    summarise_latency,
    unreached_parameters,
)


def _macs(module, *inputs):
    return count_macs(lambda: module.eval()(*inputs))


def test_convolutions_and_linear_layers():
    image = torch.zeros(2, 3, 32, 32)
    assert _macs(nn.Conv2d(3, 8, 3, stride=2, padding=1), image) == 2 * 8 * 16 * 16 * 3 * 9
    assert _macs(nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.zeros(1, 8, 10, 10)) == 8 * 100 * 9
    assert _macs(nn.ConvTranspose2d(4, 6, 2, stride=2), torch.zeros(1, 4, 5, 5)) == 4 * 6 * 25 * 4
    assert _macs(nn.Linear(10, 7), torch.zeros(3, 5, 10)) == 3 * 5 * 10 * 7


@pytest.mark.parametrize("grad", [True, False])
def test_transformer_layers_are_not_hidden_by_fast_paths(grad):
    batch, tokens, width, hidden = 2, 11, 16, 40
    layer = nn.TransformerEncoderLayer(width, 4, hidden, batch_first=True).requires_grad_(grad)
    attention = 4 * tokens * width * width + 2 * tokens * tokens * width
    expected = batch * (attention + 2 * tokens * width * hidden)
    assert _macs(layer, torch.zeros(batch, tokens, width)) == expected
    stack = nn.TransformerEncoder(layer, 3)
    assert _macs(stack, torch.zeros(batch, tokens, width)) == 3 * expected


def test_attention_kernel_and_products():
    q, k = torch.zeros(2, 4, 9, 8), torch.zeros(2, 4, 13, 8)
    kernel = torch.nn.functional.scaled_dot_product_attention
    assert count_macs(lambda: kernel(q, k, k)) == 2 * 2 * 4 * 9 * 13 * 8
    a, b = torch.zeros(3, 5, 7), torch.zeros(3, 7, 2)
    assert count_macs(lambda: torch.einsum("bij,bjk->bik", a, b)) == 3 * 5 * 7 * 2
    with torch.inference_mode():
        assert count_macs(lambda: a @ b) == 3 * 5 * 7 * 2


def test_learned_queries_as_module_input():
    class Queries(nn.Module):
        def __init__(self):
            super().__init__()
            self.queries = nn.Parameter(torch.zeros(1, 6, 4))
            self.inner = nn.Linear(4, 4)

        def forward(self):
            return self.inner(self.queries)

    module = Queries()
    assert count_macs(module) == 6 * 16


def test_a_count_of_zero_is_an_error():
    with pytest.raises(ComplexityError, match="eager form"):
        _macs(nn.ReLU(), torch.zeros(3))


class _Estimator(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.spare = nn.Linear(4, 3)
        self.guidance = nn.Linear(100, 100)
        self.losses = nn.ModuleList([nn.Linear(5, 5)])

    def forward(self, x):
        return {"out": [self.body(x)]}


def test_parameters_are_those_of_inference():
    model = _Estimator()
    assert count_parameters(model) == 4 * 4 + 4 + 4 * 3 + 3
    model.spare.weight.requires_grad_(False)
    assert unreached_parameters(model, lambda: model(torch.ones(1, 4))) == [
        "spare.weight",
        "spare.bias",
    ]
    assert not model.spare.weight.requires_grad and model.body.weight.requires_grad


def test_peak_memory_follows_what_is_alive():
    model = nn.Identity()
    x = torch.zeros(1000)

    def chain():
        y = x
        for _ in range(5):
            y = y + 1  # the one before is released: at most two are alive
        return y

    assert peak_activation_bytes(chain, model) == 2 * 4000
    assert peak_activation_bytes(lambda: [x + i for i in range(5)], model) == 5 * 4000
    assert peak_activation_bytes(lambda: (x + 1).view(10, 100).t(), model) == 4000  # views share


def test_interleaved_timing():
    calls = []

    def slow():
        calls.append("slow")
        time.sleep(0.004)

    timings = measure_interleaved({"slow": slow, "fast": lambda: calls.append("fast")}, 6, warmup=1)
    assert {name: len(values) for name, values in timings.items()} == {"slow": 6, "fast": 6}
    rounds = [set(calls[i : i + 2]) for i in range(0, len(calls), 2)]
    assert all(pair == {"slow", "fast"} for pair in rounds)
    slow_row, fast_row = summarise_latency(timings["slow"], 2), summarise_latency(timings["fast"])
    assert slow_row["latency_ms"] >= 4 > fast_row["latency_ms"]
    assert slow_row["fps"] == pytest.approx(2000 / slow_row["latency_ms"])
