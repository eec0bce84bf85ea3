"""The kit finds every kind of breach, and passes a part that is right."""

import pytest
import torch
from torch import nn

from handzoo.registry import GUIDANCES, NECKS
from handzoo.testing import ConformanceError, conformance_checks


class GoodNeck(nn.Module):
    def __init__(self, in_channels, width: int = 8):
        super().__init__()
        self.out_channels = width
        self.reduce = nn.Conv2d(in_channels[0], width, 1)

    def forward(self, maps):
        return self.reduce(maps[0])


class WrongShape(GoodNeck):
    def forward(self, maps):
        return super().forward(maps)[:, :, ::2]


class Unused(GoodNeck):
    def __init__(self, in_channels, width: int = 8):
        super().__init__(in_channels, width)
        self.spare = nn.Linear(2, 2)


class Frozen(Unused):
    def __init__(self, in_channels, width: int = 8):
        super().__init__(in_channels, width)
        self.spare.requires_grad_(False)


class MixesBatch(GoodNeck):
    def forward(self, maps):
        high = super().forward(maps)
        return high - high.mean(dim=0, keepdim=True)


class Random(GoodNeck):
    def forward(self, maps):
        return super().forward(maps) + torch.randn(())


class HiddenState(GoodNeck):
    def __init__(self, in_channels, width: int = 8):
        super().__init__(in_channels, width)
        self.offset = torch.randn(())  # neither parameter nor buffer

    def forward(self, maps):
        return super().forward(maps) + self.offset


class NotFinite(GoodNeck):
    def forward(self, maps):
        return super().forward(maps) / 0


BREACHES = {
    WrongShape: {"contract", "gradients", "batch", "deterministic", "state_dict", "autocast"},
    Unused: {"gradients"},
    MixesBatch: {"batch"},
    Random: {"deterministic"},
    HiddenState: {"state_dict"},
    NotFinite: {"contract"},
}


@pytest.fixture
def register(monkeypatch):
    def add(cls):
        monkeypatch.setitem(NECKS._module_dict, cls.__name__, cls)
        return dict(type=cls.__name__)

    return add


def failures(config):
    failed = set()
    for check in conformance_checks("neck"):
        try:
            check(config)
        except ConformanceError:
            failed.add(check.name)
    return failed


@pytest.mark.parametrize("cls", [GoodNeck, Frozen])
def test_parts_that_keep_the_contract_pass(register, cls):
    assert failures(register(cls)) == set()


@pytest.mark.parametrize("cls", list(BREACHES), ids=lambda cls: cls.__name__)
def test_every_breach_is_found(register, cls):
    assert BREACHES[cls] <= failures(register(cls))


def test_checks_carry_readable_names():
    names = [str(check) for check in conformance_checks("mesh_head")]
    assert names == [
        "contract", "gradients", "batch", "deterministic", "state_dict", "autocast", "config",
        "deploy", "onnx",
    ]  # fmt: skip
    assert "batch" not in [str(check) for check in conformance_checks("loss")]


def test_guidance_is_called_as_the_estimator_calls_it(monkeypatch):
    """A loss without ``encode`` would pass alone and fail at the first step of a training."""

    class Forgetful(nn.Module):
        def loss(self, image, features, targets):
            return {"loss_none": image.sum() * 0}

    monkeypatch.setitem(GUIDANCES._module_dict, "Forgetful", Forgetful)
    contract = next(check for check in conformance_checks("guidance") if check.name == "contract")
    with pytest.raises(ConformanceError, match=r"cannot be called.*encode.*too many positional"):
        contract(dict(type="Forgetful"))
