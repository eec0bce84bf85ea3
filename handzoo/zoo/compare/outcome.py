"""What is known of one model when it is done: a folder of files, so that it is done once.

::

    models/<label>-<key>/model.json          ModelOutcome
                         trial_0/            metrics.json, per_sample.npz, predictions.npz
                         train_0/            the training's work directory

The key is a hash of config, checkpoint, data and settings: whatever could change the figures
changes the folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from handzoo.errors import DataError
from handzoo.evaluation.files import atomic_path, plain, write_json
from handzoo.evaluation.results import EvaluationResult
from handzoo.zoo.index import ModelEntry

MODEL_FILE, PREDICTIONS_FILE, ERROR_FILE = "model.json", "predictions.npz", "error.txt"
OK, FAILED = "ok", "failed"


@dataclass
class ModelOutcome:
    """One row of a comparison.

    Attributes:
        label: what tables call the model; unique.
        model: its name in the zoo, or its config's stem.
        method: the collection that it belongs to; empty if the index does not know it.
        key: see :func:`outcome_key`.
        status: ``ok`` or ``failed``.
        error: one line of why it failed.
        config: whole config as text.
        weights: where the weights are from: ``kind`` is ``checkpoint``, ``published``,
            ``trained`` or ``random``; ``file`` and ``sha256`` where there is a file.
        identity: what decides which figures can be compared: joint order, hand model, input size.
        cost: parameters, MACs, memory, training time.
        training: budget, seconds and images of each trial, if it was trained here.
        resources: rows of the resource report.
        plugins: plugins that the model takes classes from.
        published: the authors' figures, from the index.
        notes: anything that a reader of its figures must know.
        trials: number of results.
        results: one evaluation per trial; not part of the file.
        folder: where all this lies; not part of the file.
    """

    label: str
    model: str = ""
    method: str = ""
    key: str = ""
    status: str = OK
    error: str = ""
    config: str = ""
    weights: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    training: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    plugins: list[dict[str, str]] = field(default_factory=list)
    published: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    trials: int = 0
    results: list[EvaluationResult] = field(default_factory=list)
    folder: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether it has figures."""
        return self.status == OK

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the results."""
        kept = [spec.name for spec in fields(self) if spec.name not in ("results", "folder")]
        return plain({name: getattr(self, name) for name in kept})

    def save(self) -> None:
        """Write model.json, last of all files: it says that the model is done."""
        self.trials = len(self.results)
        write_json(self.folder / MODEL_FILE, self.to_dict())

    @classmethod
    def load(cls, folder: Path, key: str, label: str) -> ModelOutcome | None:
        """Read a finished model; None if there is none of this key, or its files are damaged."""
        try:
            content = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
            if content.get("key") != key or content.get("status") != OK:
                return None
            known = {spec.name for spec in fields(cls)}
            outcome = cls(**{name: v for name, v in content.items() if name in known})
            outcome.results = [
                EvaluationResult.load(trial_folder(folder, index))
                for index in range(outcome.trials)
            ]
        except (OSError, ValueError, TypeError, DataError):
            return None
        outcome.folder, outcome.label = folder, label
        return outcome


def published_figures(entry: ModelEntry | None) -> dict[str, Any]:
    """The authors' figures under our metrics' names.

    FreiHAND's F-scores are published after alignment and called F@5 and F@15; here a name
    without prefix would be the unaligned one.
    """
    figures = entry.published if entry is not None else {}
    return {f"PA-{n}" if n.startswith("F@") else n: value for n, value in figures.items()}


def outcome_key(config: str, checkpoint: str, data: str, settings: dict[str, Any]) -> str:
    """Hash of everything that could change a model's figures.

    Args:
        config: whole config as text.
        checkpoint: sha256 of the weights, or ''.
        data: fingerprint of the data.
        settings: the conditions that matter.
    """
    import handzoo

    text = json.dumps([handzoo.__version__, config, checkpoint, data, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def outcome_folder(out: Path, label: str, key: str) -> Path:
    """Folder of a model's files."""
    plain_name = re.sub(r"[^A-Za-z0-9_.-]+", "_", label)[:80]
    return out / "models" / f"{plain_name}-{key[:10]}"


def trial_folder(folder: Path, index: int) -> Path:
    """Where one trial's result is kept."""
    return folder / f"trial_{index}"


@dataclass
class Predictions:
    """What one model predicted, for pictures; the order is the data's.

    Attributes:
        sample_ids: (N,) as text.
        camera: (N, 3).
        joints: (N, 21, 3) metres.
        vertices: (N, V, 3) metres, in half precision on the disk: 0.06 mm, for pictures only.
    """

    sample_ids: np.ndarray
    camera: np.ndarray
    joints: np.ndarray
    vertices: np.ndarray

    def save(self, folder: Path) -> None:
        """Write predictions.npz atomically."""
        arrays = asdict(self)
        arrays["vertices"] = self.vertices.astype(np.float16)
        with atomic_path(folder / PREDICTIONS_FILE) as part, open(part, "wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Predictions | None:
        """Read them; None where they are missing."""
        path = folder / PREDICTIONS_FILE
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as archive:
            return cls(**{name: archive[name] for name in archive.files})
