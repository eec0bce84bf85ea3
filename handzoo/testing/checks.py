"""The checks themselves; each builds the part anew from its config and says what is wrong."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import io
import unittest
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError
from handzoo.models.deploy.onnx import (
    ExportError,
    compare_outputs,
    named_tensors,
    run_onnx,
    write_onnx,
)
from handzoo.models.deploy.run import deploy_parts
from handzoo.testing.configs import check_config
from handzoo.testing.drivers import (
    DRIVERS,
    ConformanceError,
    Context,
    build,
    default_context,
    named_losses,
    require,
    require_close,
    require_unread,
)
from handzoo.testing.fixtures import make_prediction, make_targets, without_annotation

# Losses and guidance mix the samples of a batch on purpose, so batch sizes need not agree.
_BATCH_ROLES = {"loss", "guidance"}
# What runs at inference, and is therefore deployed and exported.
_INFERENCE_ROLES = {"backbone", "neck", "query_head", "mesh_head", "prior"}
# Roles that are no torch modules -> the module that holds their ``CHECKS``, imported when asked
# for: a plugin with a neck needs no data set or runner to test it.
OTHER_ROLES = {
    "dataset": "handzoo.testing.datasets",
    "transform": "handzoo.testing.transforms",
    "metric": "handzoo.testing.metrics",
    "hook": "handzoo.testing.hooks",
    "prediction_filter": "handzoo.testing.filters",
    "resource_resolver": "handzoo.testing.resolvers",
    "estimator": "handzoo.testing.estimators",
}


@dataclass(frozen=True)
class Check:
    """One check of one role; call it with a config.

    Attributes:
        role: registry that the part belongs to.
        name: what is checked.
    """

    role: str
    name: str
    function: Callable[[str, Mapping[str, Any], Context], None]

    def __call__(self, config: Mapping[str, Any], context: Context | None = None) -> None:
        """Run the check.

        Raises:
            ConformanceError: the part does not fulfil its contract.
        """
        self.function(self.role, config, context or default_context())

    def __str__(self) -> str:
        return self.name


def conformance_checks(role: str) -> list[Check]:
    """All checks that a part of this role must pass.

    Args:
        role: a key of ``handzoo.testing.drivers.DRIVERS``: backbone, neck, query_head, mesh_head,
            prior, loss, guidance, text_encoder or hand_model; or of :data:`OTHER_ROLES`: dataset,
            transform, metric, hook, prediction_filter, resource_resolver or estimator.

    Raises:
        ConfigError: no such role.
    """
    if role in OTHER_ROLES:
        functions = list(importlib.import_module(OTHER_ROLES[role]).CHECKS)
    elif role in DRIVERS:
        functions = [check for check in _CHECKS if check is not _batch or role not in _BATCH_ROLES]
        if role in _INFERENCE_ROLES:
            functions += [_deploy, _onnx]
        if role == "loss":
            functions.append(_unannotated)
    else:
        known = ", ".join([*DRIVERS, *OTHER_ROLES])
        raise ConfigError(f"no conformance checks for {role!r}; there are: {known}.")
    return [Check(role, function.__name__.strip("_"), function) for function in functions]


def _run(part: nn.Module, role: str, context: Context, batch: int) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return DRIVERS[role](part, context, batch)


def _evaluate(part: nn.Module, role: str, context: Context, batch: int) -> dict[str, Tensor]:
    part.eval()
    with torch.no_grad():
        return _run(part, role, context, batch)


def _contract(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Built from its config, it returns finite tensors of the promised names and shapes."""
    part = build(role, config, context)
    require(isinstance(part, nn.Module), f"a {role} is a torch module, not {type(part).__name__}")
    for mode in (True, False):
        part.train(mode)
        for name, value in _run(part, role, context, 2).items():
            require(value.is_floating_point(), f"{name} must be floating point, not {value.dtype}")
            require(torch.isfinite(value).all(), f"{name} is not finite")


def _gradients(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Every parameter gets a gradient, or is frozen by requires_grad = False."""
    part = build(role, config, context)
    parameters = {name: p for name, p in part.named_parameters() if p.requires_grad}
    part.train()
    outputs = _run(part, role, context, 2)
    # A random projection: the plain sum of a softmax or a layer norm has no gradient.
    total = sum(
        (value.float() * torch.randn_like(value.float())).sum() for value in outputs.values()
    )
    if not parameters:
        return
    total.backward()
    lacking = [name for name, parameter in parameters.items() if parameter.grad is None]
    require(
        not lacking,
        f"no gradient reaches {', '.join(lacking[:5])}: use these parameters in forward, or "
        "declare them frozen with requires_grad = False",
    )
    broken = [name for name, p in parameters.items() if not torch.isfinite(p.grad).all()]
    require(not broken, f"the gradient of {', '.join(broken[:5])} is not finite")


def _batch(role: str, config: Mapping[str, Any], context: Context) -> None:
    """In eval mode a sample's result does not depend on its batch."""
    part = build(role, config, context)
    several = _evaluate(part, role, context, 3)
    for name, value in _evaluate(part, role, context, 1).items():
        require_close(value, several[name][:1], f"{name} depends on the batch it is in")


def _deterministic(role: str, config: Mapping[str, Any], context: Context) -> None:
    """In eval mode, the same input gives the same output, whatever the random state."""
    part = build(role, config, context)
    first = _evaluate(part, role, context, 2)
    torch.manual_seed(99)
    with torch.no_grad():
        second = DRIVERS[role](part, context, 2)
    for name, value in first.items():
        require_close(second[name], value, f"{name} changes from call to call in eval mode")


def _state_dict(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its state dict, saved and loaded weights-only, carries all that eval depends on."""
    part = build(role, config, context, seed=0)
    other = build(role, config, context, seed=1)
    buffer = io.BytesIO()
    torch.save(part.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    first = _evaluate(part, role, context, 2)
    for name, value in _evaluate(other, role, context, 2).items():
        require_close(value, first[name], f"{name} differs after a state-dict round trip")


def _autocast(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Under bfloat16 autocast it runs, stays finite, and still gives gradients."""
    part = build(role, config, context).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = _run(part, role, context, 2)
    for name, value in outputs.items():
        require(torch.isfinite(value).all(), f"{name} is not finite under autocast")
    total = sum(value.float().mean() for value in outputs.values())
    if total.requires_grad:
        total.backward()


def _unannotated(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Where nothing is annotated, loss and gradient stay finite, whatever stands there."""
    part = build(role, config, context)
    prediction = make_prediction(2, context.topology, size=context.size)
    names = ("camera", "joints", "vertices", "joints_from_vertices", "coarse_vertices")
    leaves = {name: getattr(prediction, name) for name in names}
    leaves |= {**(prediction.heatmaps or {}), **prediction.aux}
    for leaf in leaves.values():
        leaf.requires_grad_()
    targets = without_annotation(make_targets(2, context.topology, size=context.size))
    require_unread(named_losses(part(prediction, targets)), leaves)


def _config(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its config survives being dumped and read again; a wrong argument is refused by name."""
    check_config(config, lambda part: build(role, part, context))


def _deploy(role: str, config: Mapping[str, Any], context: Context) -> None:
    """Its deployed form computes the same."""
    part = build(role, config, context)
    expected = _evaluate(part, role, context, 2)
    deployed = copy.deepcopy(part)
    if hasattr(part, "deploy"):  # a plain module is deployed as it is
        deployed = deployed.deploy()
    require(isinstance(deployed, nn.Module), f"deploy() returns a module, not {deployed!r}")
    deploy_parts(deployed)
    for name, value in _evaluate(deployed, role, context, 2).items():
        require_close(value, expected[name], f"{name} differs after deploy()")


def _onnx(role: str, config: Mapping[str, Any], context: Context) -> None:
    """As ONNX it computes the same, unless it says exportable = False."""
    part = build(role, config, context)
    if not getattr(part, "exportable", True):
        return
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise unittest.SkipTest(f"needs {package}: pip install 'handzoo[export]'")
    calls: list[tuple[Any, ...]] = []
    handle = part.register_forward_pre_hook(lambda _, args: calls.append(args))
    _evaluate(part, role, context, 2)
    handle.remove()
    require(len(calls) == 1, f"a {role} is run by calling it")
    buffer = io.BytesIO()
    try:
        write_onnx(part, calls[0], buffer)
        named = enumerate(named_tensors(calls[0]))
        inputs = {f"input_{index}": tensor for index, (_, tensor) in named}
        with torch.no_grad():
            expected = dict(named_tensors(part(*calls[0])))
        compare_outputs(expected, run_onnx(buffer.getvalue(), inputs))
    except ExportError as error:
        raise ConformanceError(
            f"{error}; or set exportable = False, so that users are told before they try"
        ) from error


_CHECKS: tuple[Callable[[str, Mapping[str, Any], Context], None], ...] = (
    _contract,
    _gradients,
    _batch,
    _deterministic,
    _state_dict,
    _autocast,
    _config,
)
