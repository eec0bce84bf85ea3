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
from handzoo.zoo.index import PACKAGE
from handzoo.zoo.weights import ModelCard

TRAINING_ONLY = ("guidance.", "losses.", "data_preprocessor.")
_HOME = PACKAGE.parent  # the folder that holds the package
# What a config says of the run that was, and not of the model.
_OF_THE_RUN = ("work_dir", "load_from", "resume", "experiment_name", "launcher")


def publish(
    checkpoint: str | Path,
    out_dir: str | Path,
    *,
    metrics: str | Path | None = None,
    licence: str = "",
    name: str = "",
    notes: Sequence[str] = (),
    half: bool = False,
) -> tuple[Path, ModelCard]:
    """Write ``<model>-<hash>.safetensors`` and its card.

    Paths of the machine that trained stay behind: those of HandZoo's own files become relative to
    it, of others the last name is kept.

    Args:
        checkpoint: ``best.pth`` or ``last.pth`` of a training run.
        out_dir: where to.
        metrics: metrics.json of a test of this very checkpoint.
        licence: of the weights.
        name: model name, if the checkpoint does not say.
        notes: for the card.
        half: store float16, half the size; models compute in float32 all the same. The figures
            stay those of ``checkpoint``, so measure the published file as well.

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
        key: (value.half() if half and value.is_floating_point() else value).contiguous()
        for key, value in read.state_dict.items()
        if not key.startswith(TRAINING_ONLY)
    }
    config = _portable_config(about.get("config", ""))
    resources = [{**row, "where": portable(row["where"])} for row in about.get("resources", [])]
    environment = dict(about.get("environment", {}))
    environment.pop("platform", None)  # the kernel's name is the machine's own affair
    figures, protocol = _figures(metrics, Path(checkpoint))
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    plain = model.replace("/", "_")
    with atomic_path(out_dir / f"{plain}.safetensors") as part:
        meta = {"handzoo": json.dumps({"model": model, "config": config})}
        save_file(tensors, part, metadata=meta)
        digest = file_sha256(part)
        named = out_dir / f"{plain}-{digest[:8]}.safetensors"
    (out_dir / f"{plain}.safetensors").replace(named)
    data = [row["where"] for row in resources if row["name"].startswith("data/")]
    card = ModelCard(
        model=model,
        file=named.name,
        sha256=digest,
        config=config,
        data=", ".join(data),
        resources=resources,
        metrics=figures,
        protocol=protocol,
        environment=environment,
        plugins=read.plugins,
        licence=licence,
        parameters=sum(value.numel() for value in tensors.values()),
        notes=list(notes),
    )
    if card.stand_ins:
        card.notes.append(f"trained with stand-ins for: {', '.join(card.stand_ins)}")
    if half:
        card.notes.append("stored as float16")
    card.save(named.with_suffix(".json"))
    return named, card


def portable(text: str) -> str:
    """A path as another machine can read it; text that is no absolute path stays as it is."""
    path = Path(text)
    if not path.is_absolute():
        return text
    if path.is_relative_to(_HOME):
        return path.relative_to(_HOME).as_posix()
    return path.name


def _portable_config(text: str) -> str:
    """The config without the run's own keys and without absolute paths."""
    if not text:
        return text
    from mmengine.config import Config

    def convert(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: convert(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(convert(item) for item in value)
        return portable(value) if isinstance(value, str) else value

    read = Config.fromstring(text, ".py").to_dict()
    kept = {key: convert(value) for key, value in read.items() if key not in _OF_THE_RUN}
    return Config(kept).pretty_text


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
    parser.add_argument("--half", action="store_true", help="store float16, half the size")
    args = parser.parse_args(argv)
    path, card = publish(
        args.checkpoint,
        args.out,
        metrics=args.metrics,
        licence=args.licence,
        name=args.name,
        notes=args.note,
        half=args.half,
    )
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB) and its card")
    print(f"for the metafile:\n    Weights: {{File: {card.file}, SHA256: {card.sha256}}}")
    return 0
