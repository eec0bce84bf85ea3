"""Turn a training checkpoint into published weights: ``handzoo publish``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handzoo.errors import CheckpointError
from handzoo.evaluation.files import atomic_path
from handzoo.evaluation.results import EvaluationResult, file_sha256
from handzoo.zoo.weights import ModelCard

TRAINING_ONLY = ("guidance.", "losses.", "data_preprocessor.")


def publish(
    checkpoint: str | Path,
    out_dir: str | Path,
    *,
    metrics: str | Path | None = None,
    licence: str = "",
    name: str = "",
    notes: Sequence[str] = (),
) -> tuple[Path, ModelCard]:
    """Write ``<model>-<hash>.safetensors`` and its card.

    Args:
        checkpoint: ``best.pth`` or ``last.pth`` of a training run.
        out_dir: where to.
        metrics: metrics.json of a test of this very checkpoint.
        licence: of the weights.
        name: model name, if the checkpoint does not say.
        notes: for the card.

    Returns:
        (weights file, card).

    Raises:
        CheckpointError: the checkpoint does not name its model, or ``metrics`` belongs to another
            checkpoint.
    """
    from safetensors.torch import save_file

    from handzoo.engine.checkpoint import read_checkpoint

    read = read_checkpoint(checkpoint)
    about: dict[str, Any] = read.meta.get("handzoo", {})
    model = name or read.model
    if not model:
        raise CheckpointError(f"{checkpoint}: does not say of which model it is; give --name.")
    tensors = {
        key: value.contiguous()
        for key, value in read.state_dict.items()
        if not key.startswith(TRAINING_ONLY)
    }
    figures, protocol = _figures(metrics, Path(checkpoint))
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    plain = model.replace("/", "_")
    with atomic_path(out_dir / f"{plain}.safetensors") as part:
        meta = {"handzoo": json.dumps({"model": model, "config": about.get("config", "")})}
        save_file(tensors, part, metadata=meta)
        digest = file_sha256(part)
        named = out_dir / f"{plain}-{digest[:8]}.safetensors"
    (out_dir / f"{plain}.safetensors").replace(named)
    data = [row["where"] for row in about.get("resources", []) if row["name"].startswith("data/")]
    card = ModelCard(
        model=model,
        file=named.name,
        sha256=digest,
        config=about.get("config", ""),
        data=", ".join(data),
        resources=list(about.get("resources", [])),
        metrics=figures,
        protocol=protocol,
        environment=dict(about.get("environment", {})),
        plugins=read.plugins,
        licence=licence,
        parameters=sum(value.numel() for value in tensors.values()),
        notes=list(notes),
    )
    if card.stand_ins:
        card.notes.append(f"trained with stand-ins for: {', '.join(card.stand_ins)}")
    card.save(named.with_suffix(".json"))
    return named, card


def _figures(metrics: str | Path | None, checkpoint: Path) -> tuple[dict[str, float], str]:
    if metrics is None:
        return {}, ""
    result = EvaluationResult.load(metrics)
    given, actual = result.checkpoint.get("sha256"), file_sha256(checkpoint)
    if given != actual:
        raise CheckpointError(
            f"{metrics}: these figures are of another checkpoint (SHA-256 {str(given)[:12]}...) "
            f"than {checkpoint} ({actual[:12]}...). Test this checkpoint and give its metrics.json."
        )
    return dict(result.metrics), result.protocol["id"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; prints what belongs into the metafile."""
    parser = argparse.ArgumentParser(prog="handzoo publish", description=__doc__)
    parser.add_argument("checkpoint", help="best.pth or last.pth of a training run")
    parser.add_argument("out", help="folder for the weights and their card")
    parser.add_argument("--metrics", help="metrics.json of a test of this checkpoint")
    parser.add_argument("--licence", default="", help="of the weights")
    parser.add_argument("--name", default="", help="model name, if the checkpoint does not say")
    parser.add_argument("--note", action="append", default=[], help="for the card; repeatable")
    args = parser.parse_args(argv)
    path, card = publish(
        args.checkpoint,
        args.out,
        metrics=args.metrics,
        licence=args.licence,
        name=args.name,
        notes=args.note,
    )
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB) and its card")
    print(f"for the metafile:\n    Weights: {{File: {card.file}, SHA256: {card.sha256}}}")
    return 0
