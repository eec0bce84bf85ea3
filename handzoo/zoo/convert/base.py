"""How a converter says what becomes of each tensor, and what holds it to that.

A converter lists moves (tensors of the authors -> one of ours) and tensors that the authors' own
forward pass never reads. :func:`convert` then insists that every tensor of the file is in one of
the two lists, that every tensor of our model is filled, and that every shape agrees.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from handzoo.errors import CheckpointError

if TYPE_CHECKING:
    from rich.table import Table

MAPPED, UNUSED = "mapped", "unused"


@dataclass(frozen=True)
class Move:
    """One tensor of ours and the authors' tensors that make it.

    Attributes:
        target: name in our model's state dict.
        sources: names in the authors'; several are concatenated along the first dimension.
        note: for the report, such as that a part of the tensor is never read.
    """

    target: str
    sources: tuple[str, ...]
    note: str = ""

    def apply(self, state: Mapping[str, Tensor]) -> Tensor:
        """Return our tensor."""
        if len(self.sources) == 1:
            return state[self.sources[0]].contiguous()
        return torch.cat([state[name] for name in self.sources])


@dataclass
class Plan:
    """What a converter intends to do with a state dict.

    Attributes:
        config: name of the config whose model the result fits, such as ``metro_h64_freihand``.
        moves: everything that is kept.
        unused: name of a tensor that is dropped -> why the authors' forward never reads it.
    """

    config: str
    moves: list[Move]
    unused: dict[str, str]


@dataclass
class Row:
    """One tensor of the authors' file in the report.

    Attributes:
        source, shape: of the authors' tensor.
        status: ``mapped`` or ``unused``.
        target: our tensor, or an empty string.
        note: why it is unused, or what else there is to say.
    """

    source: str
    shape: list[int]
    status: str
    target: str
    note: str


@dataclass
class ConversionReport:
    """What became of every tensor.

    Attributes:
        method: name of the converter.
        config: see :class:`Plan`.
        source, sha256: the authors' file.
        output: what was written, or an empty string.
        output_sha256: its hash.
        parameters: floating-point numbers in the file without batch-norm statistics; of those,
            ``live`` went into our model and ``unused`` are read by no forward pass.
        rows: one a tensor of the file.
    """

    method: str
    config: str
    source: str
    sha256: str
    parameters: int = 0
    live: int = 0
    unused: int = 0
    output: str = ""
    output_sha256: str = ""
    rows: list[Row] = field(default_factory=list)

    def write_json(self, path: str | Path) -> None:
        """Write everything, one row a tensor."""
        Path(path).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def table(self, every_tensor: bool = False) -> Table:
        """Table for a terminal: a line for each group of tensors, or for each tensor."""
        from rich.table import Table

        table = Table(title=f"{self.method} -> {self.config}", title_justify="left")
        noted = any(row.note for row in self.rows)
        for column in ("from", "tensors", "million", "to", *(("note",) if noted else ())):
            right = column in ("tensors", "million")
            justify = "right" if right else "left"
            table.add_column(column, justify=justify, no_wrap=column != "note" and not every_tensor)
        if every_tensor:
            for row in self.rows:
                size = _million(_size(row.shape))
                cells = (row.source, "1", size, row.target or "-", row.note)
                table.add_row(*cells[: len(table.columns)])
        else:
            groups: dict[tuple[str, str, str], list[Row]] = {}
            for row in self.rows:
                key = (_group(row.source), _group(row.target), row.note)
                groups.setdefault(key, []).append(row)
            for (source, target, note), rows in groups.items():
                size = _million(sum(_size(row.shape) for row in rows))
                cells = (source, str(len(rows)), size, target or "-", note)
                table.add_row(*cells[: len(table.columns)])
        table.caption = (
            f"{_million(self.parameters)} M parameters: {_million(self.live)} M live, "
            f"{_million(self.unused)} M that no forward pass reads"
        )
        return table


class Converter(ABC):
    """Knows one method's published checkpoints.

    A plugin adds one by registering a subclass in
    :data:`handzoo.registry.CONVERTERS`.
    """

    #: Where the names come from.
    source: ClassVar[str] = ""

    @abstractmethod
    def plan(self, state: Mapping[str, Tensor]) -> Plan:
        """Look at names and shapes and say what becomes of each tensor.

        Raises:
            CheckpointError: this is not a checkpoint of the method, or of a variant that HandZoo
                has; says what it is.
        """


def carry_out(plan: Plan, state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Make our state dict, and refuse anything that does not fit to the last tensor.

    Args:
        plan: what to do.
        state: the authors' tensors.
        model: the model of ``plan.config``.

    Raises:
        CheckpointError: a tensor of the file is neither mapped nor known to be unused, one that
            is needed is missing, or a shape differs.
    """
    needed = [name for move in plan.moves for name in move.sources]
    missing = [name for name in needed if name not in state]
    if missing:
        raise CheckpointError(
            f"{len(missing)} of the {len(needed)} tensors that {plan.config} needs are missing, "
            f"the first is {_names(missing)}. The file is incomplete."
        )
    known = {*needed, *plan.unused}
    unknown = [name for name in state if name not in known]
    if unknown:
        raise CheckpointError(
            f"{len(unknown)} of the {len(state)} tensors have no place in {plan.config}: "
            f"{_names(unknown)}. The file is of a changed or newer model."
        )
    ours = {move.target: move.apply(state) for move in plan.moves}
    expected = model.state_dict()
    unfilled = [name for name in expected if name not in ours]
    surplus = [name for name in ours if name not in expected]
    if unfilled:
        raise CheckpointError(
            f"the file has nothing for {len(unfilled)} of the {len(expected)} tensors of "
            f"{plan.config}, the first is {_names(unfilled)}. The file is incomplete."
        )
    if surplus:
        raise CheckpointError(
            f"{plan.config} has no place for {len(surplus)} tensors, the first is "
            f"{_names(surplus)}: the file is of a deeper variant."
        )
    for name, value in ours.items():
        if value.shape != expected[name].shape:
            raise CheckpointError(
                f"{name} has the shape {tuple(expected[name].shape)} in {plan.config}, and "
                f"{tuple(value.shape)} in the file: it is of another variant."
            )
    return ours


def account(plan: Plan, state: Mapping[str, Tensor], report: ConversionReport) -> None:
    """Fill the report's rows, in the file's order, and its totals."""
    targets = {name: move for move in plan.moves for name in move.sources}
    for name, value in state.items():
        shape = list(value.shape)
        if name in targets:
            move = targets[name]
            report.rows.append(Row(name, shape, MAPPED, move.target, move.note))
        else:
            report.rows.append(Row(name, shape, UNUSED, "", plan.unused[name]))
        if not is_statistic(name):
            report.parameters += value.numel()
            report.unused += 0 if name in targets else value.numel()
    report.live = report.parameters - report.unused


def is_statistic(name: str) -> bool:
    """Whether a tensor is a batch norm's running statistic and no parameter."""
    return name.rsplit(".", 1)[-1] in ("running_mean", "running_var", "num_batches_tracked")


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _names(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more


def _size(shape: list[int]) -> int:
    return torch.Size(shape).numel()


def _million(number: int) -> str:
    return f"{number / 1e6:.3f}"


def _group(name: str) -> str:
    """``trans_encoder.0.bert.encoder.layer.3.output.dense.bias`` -> ``trans_encoder.0.*``."""
    parts = name.split(".")[:-1]
    return ".".join([*parts[:2], "*"]) if parts else name
