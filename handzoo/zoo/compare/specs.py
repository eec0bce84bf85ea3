"""From ``NAME|CONFIG[=CHECKPOINT]`` to the models that take part."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handzoo.errors import CheckpointError, ConfigError
from handzoo.zoo.index import ModelEntry, find_entry, name_of_config
from handzoo.zoo.weights import published_weights


@dataclass(frozen=True)
class ModelSpec:
    """One model of a comparison.

    Attributes:
        label: what tables call it; unique.
        config: its file.
        checkpoint: weights; None for those of the initialisation.
        published_weights: whether ``checkpoint`` is what the zoo publishes.
        entry: its row in the index, or None.
    """

    label: str
    config: Path
    checkpoint: Path | None = None
    published_weights: bool = False
    entry: ModelEntry | None = None


def parse_specs(arguments: Sequence[str], *, needs_weights: bool = False) -> list[ModelSpec]:
    """Resolve the models that were named, before anything long begins.

    Args:
        arguments: ``NAME|CONFIG[=CHECKPOINT]`` each. A name without checkpoint takes the
            published weights where there are some.
        needs_weights: refuse models without weights.

    Raises:
        ConfigError: a name or file is unknown, with the nearest one; or weights are needed and
            missing.
        CheckpointError: a checkpoint file is not there.
    """
    specs: list[ModelSpec] = []
    for argument in arguments:
        name, checkpoint = split_argument(argument)
        specs.append(_resolve(name, checkpoint))
    if needs_weights:
        bare = [spec.label for spec in specs if spec.checkpoint is None]
        if bare:
            raise ConfigError(
                f"{', '.join(dict.fromkeys(bare))}: no weights are given and none are published. "
                "Name them (NAME=CHECKPOINT), train all models first (--budget EPOCHS), or "
                "compare random weights knowingly (--allow-random)."
            )
    return _with_unique_labels(specs)


def split_argument(argument: str) -> tuple[str, str | None]:
    """``'a=b'`` -> ``('a', 'b')``, ``'a'`` -> ``('a', None)``.

    Raises:
        ConfigError: nothing stands on one side of the sign.
    """
    name, sign, checkpoint = argument.partition("=")
    if not name or (sign and not checkpoint):
        raise ConfigError(f"{argument!r}: write NAME or CONFIG, with =CHECKPOINT if wanted.")
    return name, checkpoint or None


def _resolve(name: str, checkpoint: str | None) -> ModelSpec:
    from handzoo.engine.config import resolve_config

    config = resolve_config(name)
    label = name_of_config(config)
    entry = find_entry(label)
    if checkpoint is not None:
        path = Path(os.path.expanduser(checkpoint))
        if not path.is_file():
            raise CheckpointError(f"{name}={checkpoint}: there is no such checkpoint file.")
        return ModelSpec(label, config, path, False, entry)
    published = published_weights(config)
    return ModelSpec(label, config, published, published is not None, entry)


def _with_unique_labels(specs: list[ModelSpec]) -> list[ModelSpec]:
    """The same model with two checkpoints gets the checkpoints' names behind its own."""
    counts: dict[str, int] = {}
    for spec in specs:
        counts[spec.label] = counts.get(spec.label, 0) + 1
    taken: set[str] = set()
    unique = []
    for spec in specs:
        label = spec.label
        if counts[label] > 1 and spec.checkpoint is not None:
            label = f"{label}={spec.checkpoint.parent.name}/{spec.checkpoint.name}"
        number, candidate = 2, label
        while candidate in taken:
            candidate = f"{label} #{number}"
            number += 1
        taken.add(candidate)
        unique.append(
            ModelSpec(candidate, spec.config, spec.checkpoint, spec.published_weights, spec.entry)
        )
    return unique
