"""Published weights: a safetensors file and, beside it, a card that says what it is.

The card is JSON: model, config, data, resources used, metrics, versions, licence and the file's
SHA-256. Nothing is loaded whose hash is not the card's.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from handzoo.errors import CheckpointError, ResourceError
from handzoo.evaluation.files import atomic_path, write_json
from handzoo.evaluation.results import file_sha256
from handzoo.resources import cache_root
from handzoo.zoo.index import configs_root, find_entry, get_entry, name_of_config

CARD_VERSION = 1
_TIMEOUT = 30  # seconds without an answer


@dataclass
class ModelCard:
    """What published weights are.

    Attributes:
        model: name in the zoo.
        file: name of the safetensors file beside the card.
        sha256: of that file.
        config: the whole config as text.
        data: data set that they were trained on, as the resources say.
        resources: rows of the training run's resource table.
        metrics: figures by name, with ``protocol`` naming what they mean.
        protocol: id of the evaluation protocol; empty without metrics.
        environment: versions and machine of the training run.
        plugins: plugins that the model needs.
        licence: of the weights; MANO's terms may reach weights that were trained with it.
        parameters: how many numbers the file holds.
        notes: anything that a user must know.
        version: of this layout.
    """

    model: str
    file: str
    sha256: str
    config: str = ""
    data: str = ""
    resources: list[dict[str, str]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    protocol: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    plugins: list[dict[str, str]] = field(default_factory=list)
    licence: str = ""
    parameters: int = 0
    notes: list[str] = field(default_factory=list)
    version: int = CARD_VERSION

    @property
    def stand_ins(self) -> list[str]:
        """Resources that were stand-ins when the weights were trained."""
        return [row["name"] for row in self.resources if row.get("status") != "real"]

    def save(self, path: Path) -> None:
        """Write the card as JSON."""
        write_json(path, asdict(self))


def read_card(path: str | os.PathLike[str]) -> ModelCard:
    """Read a card.

    Raises:
        CheckpointError: it is missing, is not JSON, or lacks what a card must say.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: the model card cannot be read: {error}") from error
    known = {spec.name for spec in fields(ModelCard)}
    missing = {"model", "file", "sha256"} - set(content)
    if missing:
        raise CheckpointError(f"{path}: the model card lacks {', '.join(sorted(missing))}.")
    if content.get("version", 1) > CARD_VERSION:
        raise CheckpointError(
            f"{path}: the model card has version {content['version']}, and this HandZoo reads up "
            f"to {CARD_VERSION}; update HandZoo."
        )
    return ModelCard(**{key: value for key, value in content.items() if key in known})


def check_weights(path: Path, sha256: str) -> Path:
    """Return ``path`` if the file has this hash.

    Raises:
        CheckpointError: it has another one.
    """
    found = file_sha256(path)
    if found != sha256:
        raise CheckpointError(
            f"{path}: its SHA-256 is {found[:16]}..., not {sha256[:16]}... as published: the file "
            "is damaged or is another one. Delete it and get it again."
        )
    return path


def find_weights(name: str) -> Path:
    """The published weights of a model, checked.

    They are looked for in HANDZOO_WEIGHTS_DIR, beside the method's configs, and in the cache; if
    the metafile gives addresses, they are then fetched into the cache.

    Args:
        name: model name.

    Raises:
        ConfigError: unknown model.
        ResourceError: the model has no published weights, or none is within reach.
        CheckpointError: the file found is not the published one.
    """
    entry = get_entry(name)
    if not entry.weights:
        raise ResourceError(
            f"there are no published weights of {name}. Use pretrained=False, or name a "
            "checkpoint of your own: pretrained='work_dirs/.../best.pth'."
        )
    file = entry.weights["File"]
    folders = [
        Path(os.environ["HANDZOO_WEIGHTS_DIR"]) if "HANDZOO_WEIGHTS_DIR" in os.environ else None,
        Path(entry.config).parent,
        configs_root().parent / "weights",
        cache_root() / "weights",
    ]
    for folder in folders:
        if folder is not None and (folder / file).is_file():
            return check_weights(folder / file, entry.weights["SHA256"])
    return _fetch(name, file, entry.weights)


def published_weights(model: str | os.PathLike[str]) -> Path | None:
    """The published weights of a model, where it has some.

    Args:
        model: name of a model of the zoo, or a config file; only the zoo's own files have weights.

    Returns:
        The file, checked; None for a model without published weights.

    Raises:
        ConfigError: there is no such model or file.
        ResourceError: there are weights, but they are out of reach.
        CheckpointError: the file found is not the published one.
    """
    from handzoo.engine.config import resolve_config

    entry = find_entry(name_of_config(resolve_config(model)))
    return find_weights(entry.name) if entry is not None and entry.weights else None


def _fetch(name: str, file: str, weights: dict[str, Any]) -> Path:
    urls = weights.get("URLs") or []
    target = cache_root() / "weights" / file
    failures = []
    for url in urls:
        if not str(url).startswith("https://"):
            failures.append(f"{url}: not https")
            continue
        try:
            with (
                urllib.request.urlopen(url, timeout=_TIMEOUT) as answer,
                atomic_path(target) as part,
            ):
                with open(part, "wb") as out:
                    while block := answer.read(1 << 20):
                        out.write(block)
                check_weights(part, weights["SHA256"])
            return target
        except (urllib.error.URLError, OSError, CheckpointError) as error:
            failures.append(f"{url}: {error}")
    tried = "; ".join(failures) or "the metafile gives no address"
    raise ResourceError(
        f"the weights of {name} ({file}) are not on this machine and cannot be fetched: {tried}. "
        f"Put the file into {target.parent} or into a folder named by HANDZOO_WEIGHTS_DIR."
    )
