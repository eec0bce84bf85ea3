"""What parts give back, checked once: a wrong shape is named where it arises.

Otherwise it would surface as a size mismatch somewhere in a loss, or, worse, be broadcast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import ContractError
from handzoo.hands.topology import HandTopology
from handzoo.models.base import QueryOutput
from handzoo.structures import HandPrediction


def being_traced() -> bool:
    """Whether torch records the model, when a look at shapes would end up in the graph."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def check_queries(role: str, part: nn.Module, output: Any, batch: int) -> None:
    """Raise unless a query head gave back queries of the width that it announced.

    Raises:
        ContractError: names the part, what it gave and what is wanted.
    """
    if not isinstance(output, QueryOutput):
        raise _error(role, part, f"returned {_kind(output)}, and a QueryOutput is wanted")
    shape = tuple(output.queries.shape)
    wanted = (batch, shape[1] if len(shape) == 3 else "Q", part.out_channels)
    if shape != wanted:
        raise _error(role, part, f"queries have the shape {shape}, and {wanted} is wanted")


def check_prediction(
    role: str, part: nn.Module, prediction: Any, batch: int, topology: HandTopology
) -> None:
    """Raise unless a mesh head or prior gave back a prediction of the promised shapes.

    Args:
        role: of the part, such as ``mesh_head``.
        part: the module.
        prediction: what it returned.
        batch: number of samples.
        topology: says how many joints and vertices there are.

    Raises:
        ContractError: names the part, the field, its shape and the right one.
    """
    if not isinstance(prediction, HandPrediction):
        raise _error(role, part, f"returned {_kind(prediction)}, and a HandPrediction is wanted")
    joints = topology.joint_regressor.shape[0]
    shapes = {
        "camera": (batch, 3),
        "joints": (batch, joints, 3),
        "vertices": (batch, topology.up.shape[0], 3),
        "joints_from_vertices": (batch, joints, 3),
        "coarse_vertices": (batch, topology.down.shape[0], 3),
    }
    for name, wanted in shapes.items():
        value = getattr(prediction, name)
        if value is None and name == "coarse_vertices":
            continue
        if not isinstance(value, Tensor):
            raise _error(role, part, f"prediction.{name} is {_kind(value)}, and no tensor")
        if tuple(value.shape) != wanted:
            found = tuple(value.shape)
            raise _error(
                role, part, f"prediction.{name} has the shape {found}, and {wanted} is wanted"
            )


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _error(role: str, part: nn.Module, what: str) -> ContractError:
    cls = type(part)
    return ContractError(
        f"{role} {cls.__name__} ({cls.__module__}): {what}. handzoo/models/base.py says what a "
        f"{role} gives, and handzoo.testing.conformance_checks({role!r}) tests it."
    )
