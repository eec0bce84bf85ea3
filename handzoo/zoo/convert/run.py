"""Convert one file: read, plan, fit to the model, write, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import CheckpointError
from handzoo.registry import CONVERTERS
from handzoo.zoo.convert.base import (
    ConversionReport,
    Converter,
    account,
    carry_out,
    file_sha256,
)
from handzoo.zoo.convert.reading import read_state_dict

SUFFIXES = (".pth", ".safetensors")


def convert(
    method: str,
    source: str | Path,
    output: str | Path,
    config: str | None = None,
    report: str | Path | None = None,
) -> ConversionReport:
    """Turn a checkpoint of a method's authors into one of ours.

    Args:
        method: name of the converter: ``metro``, ``fastmetro``, or a plugin's.
        source: the authors' file, see :func:`~handzoo.zoo.convert.reading.read_state_dict`.
        output: what to write; ``.pth`` or ``.safetensors``.
        config: the config that it has to be for; None takes what the file turns out to be.
        report: JSON file for the account of every tensor; beside ``output`` if None.

    Returns:
        What became of every tensor.

    Raises:
        ConfigError: unknown method.
        CheckpointError: the file cannot be read, is of another model or variant, or does not fit
            to the last tensor. Nothing is written then.
    """
    output = Path(output)
    if output.suffix not in SUFFIXES:
        raise CheckpointError(f"{output}: name it .pth or .safetensors.")
    converter: Converter = CONVERTERS.get(method)()
    state = read_state_dict(source)
    try:
        plan = converter.plan(state)
        if config is not None and plan.config != config:
            raise CheckpointError(f"it is a {plan.config}, and {config} was asked for.")
        tensors = carry_out(plan, state, _model(plan.config))
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    account_of = ConversionReport(method, plan.config, Path(source).name, file_sha256(source))
    account(plan, state, account_of)
    output.parent.mkdir(parents=True, exist_ok=True)
    _write(output, tensors, account_of)
    account_of.output = output.name
    account_of.output_sha256 = file_sha256(output)
    account_of.write_json(report or output.with_suffix(".conversion.json"))
    return account_of


def _model(config: str) -> nn.Module:
    """The estimator of a config, without pretrained weights: only its tensors' names count."""
    from mmengine.registry import init_default_scope

    from handzoo.engine.config import load_config
    from handzoo.registry import ESTIMATORS

    cfg = load_config(config)
    init_default_scope("handzoo")
    return ESTIMATORS.build(cfg.model, key="model")


def _write(output: Path, tensors: dict[str, Tensor], report: ConversionReport) -> None:
    about: dict[str, Any] = {
        "model": report.config,
        "converted_from": {
            "method": report.method,
            "file": report.source,
            "sha256": report.sha256,
        },
    }
    temporary = output.with_name(output.name + ".part")
    if output.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(tensors, temporary, metadata={"format": "pt", "handzoo": json.dumps(about)})
    else:
        torch.save({"meta": {"handzoo": about}, "state_dict": tensors}, temporary)
    temporary.replace(output)
