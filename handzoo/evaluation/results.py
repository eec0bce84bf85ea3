"""An evaluation as a file: the numbers with everything that says what they mean."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handzoo.errors import DataError
from handzoo.evaluation.files import atomic_path, plain, write_json
from handzoo.evaluation.protocol import MEASURES, TRACKS, MetricInfo, Protocol, metric_info

if TYPE_CHECKING:
    from rich.table import Table

    from handzoo.evaluation.evaluate import Scores

METRICS_FILE = "metrics.json"
PER_SAMPLE_FILE = "per_sample.npz"
_PACKAGES = ("torch", "torchvision", "mmengine", "timm", "open_clip_torch", "numpy", "scipy")
# The order in which people look for them.
_FIRST = ("PA-MPJPE", "PA-MPVPE", "PA-F@5", "PA-F@15", "MPJPE", "MPVPE", "PA-AUC-J", "PA-AUC-V")


def environment() -> dict[str, Any]:
    """Versions and machine: HandZoo, Python, the packages that decide numbers, processor and
    accelerator.
    """
    import torch

    import handzoo

    versions: dict[str, str] = {"handzoo": handzoo.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "versions": versions,
        "platform": platform.platform(),
        "processor": _processor(),
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "accelerators": devices,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:  # not Linux: the platform module knows less, but something
        return platform.processor()
    return platform.processor() or platform.machine()


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sort_metrics(names: Iterable[str]) -> list[str]:
    """The usual headline figures first, then the rest in the order given."""
    names = list(names)
    return [n for n in _FIRST if n in names] + [n for n in names if n not in _FIRST]


@dataclass
class EvaluationResult:
    """One model on one data set under one protocol.

    Attributes:
        metrics: name -> value; see :mod:`handzoo.evaluation.protocol` for the names.
        protocol: :meth:`Protocol.to_dict`.
        num_samples: samples that were predicted.
        counts: name -> samples behind the value, where fewer were annotated.
        left_out: what was not computed -> why.
        curves: name -> thresholds_mm and pck.
        per_sample: name -> (N,) array; kept in an .npz beside the JSON.
        sample_ids: N identifiers in the order of ``per_sample``.
        resources: rows of the resource report.
        model: name of the model or config.
        checkpoint: file name and sha256, or {} for random weights or a submission file.
        seed: of the run.
        environment: :func:`environment`.
        notes: anything that a reader of the numbers must know.
    """

    metrics: dict[str, float]
    protocol: dict[str, Any]
    num_samples: int
    counts: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    per_sample: dict[str, np.ndarray] = field(default_factory=dict)
    sample_ids: list[int | str] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    model: str = ""
    checkpoint: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    environment: dict[str, Any] = field(default_factory=environment)
    notes: list[str] = field(default_factory=list)
    created: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        )
    )

    @classmethod
    def from_scores(
        cls, scores: Scores, protocol: Protocol, num_samples: int, **more: Any
    ) -> EvaluationResult:
        """Combine what :func:`~handzoo.evaluation.evaluate.evaluate_hands` found with what it
        means.
        """
        return cls(
            metrics=dict(scores.metrics),
            protocol={
                **protocol.to_dict(),
                "metrics": {name: protocol.metric_id(name) for name in scores.metrics},
            },
            num_samples=num_samples,
            counts=dict(scores.counts),
            left_out=dict(scores.left_out),
            curves=dict(scores.curves),
            per_sample=dict(scores.per_sample),
            **more,
        )

    @property
    def stand_ins(self) -> list[str]:
        """Names of resources that were not the real ones."""
        return [row["name"] for row in self.resources if row.get("status") != "real"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the per-sample arrays."""
        data = asdict(self)
        data.pop("per_sample")
        data["metrics"] = {name: self.metrics[name] for name in sort_metrics(self.metrics)}
        data["stand_ins"] = self.stand_ins
        return plain(data)

    def save(self, directory: str | os.PathLike[str], **more: Any) -> Path:
        """Write metrics.json and per_sample.npz atomically. -> the path of metrics.json.

        Args:
            directory: where to.
            **more: further top-level keys of the JSON.
        """
        directory = Path(directory)
        if self.per_sample:
            with (
                atomic_path(directory / PER_SAMPLE_FILE) as part,
                open(part, "wb") as file,
            ):
                arrays = {
                    name: np.asarray(a, dtype=np.float32) for name, a in self.per_sample.items()
                }
                np.savez_compressed(file, **arrays)
        return write_json(directory / METRICS_FILE, {**self.to_dict(), **more})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> EvaluationResult:
        """Read what :meth:`save` wrote, from the folder or the JSON file.

        Raises:
            DataError: the file is missing or is not a result.
        """
        path = Path(path)
        path = path / METRICS_FILE if path.is_dir() else path
        try:
            data = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read the result {path}: {error}") from error
        if not isinstance(data, dict) or not {"metrics", "protocol", "num_samples"} <= set(data):
            raise DataError(
                f"{path} is not a result file: it has no metrics, protocol and num_samples"
            )
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        arrays = path.with_name(PER_SAMPLE_FILE)
        if arrays.is_file():
            with np.load(arrays, allow_pickle=False) as archive:
                known["per_sample"] = {name: archive[name] for name in archive.files}
        return cls(**known)

    def table(self) -> Table:
        """The metrics for the terminal: a row for each alignment, a column for each measure.

        A metric's name is its row's prefix and its column's heading; what was left out is said
        below.
        """
        from rich.table import Table

        title = f"{self.model or 'predictions'}, {self.num_samples} samples\n{self.protocol['id']}"
        if self.stand_ins:
            title += f"\nNOT on the real resources: {', '.join(self.stand_ins)} are stand-ins"
        infos = [metric_info(name) for name in self.metrics]
        table = Table(title=title, title_justify="left", caption_justify="left")
        table.add_column("", no_wrap=True)
        headings: dict[tuple[str, str], str] = {}
        for info in infos:
            if info.track:
                bracket = f"[{info.qualifier}]" if info.qualifier else ""
                unit = f"\n{info.unit}" if info.unit else ""
                headings[info.measure, info.qualifier] = info.measure + bracket + unit
        order = list(MEASURES)
        columns = sorted(headings, key=lambda key: (order.index(key[0]), key[1]))
        for column in columns:
            # A bracket would be read as rich's markup.
            table.add_column(headings[column].replace("[", r"\["), justify="right", no_wrap=True)
        notes = []
        for key, track in TRACKS.items():
            found = {(i.measure, i.qualifier): i for i in infos if i.track == key}
            if found:
                label = f"{track.prefix}...{track.suffix}" if track.prefix else "(no prefix)"
                cells = [self._cell(found.get(column)) for column in columns]
                table.add_row(label, *cells)
                notes.append(f"{label}: {track.description}")
        notes += [
            f"{i.name} {self._cell(i)} {i.unit}: {i.description}" for i in infos if not i.track
        ]
        notes += [f"{name} left out: {reason}" for name, reason in self.left_out.items()]
        table.caption = "\n".join(notes).replace("[", r"\[") or None
        return table

    def _cell(self, info: MetricInfo | None) -> str:
        if info is None:
            return ""
        text = f"{self.metrics[info.name]:.{2 if info.unit else 4}f}"
        count = self.counts.get(info.name, self.num_samples)
        return text if count == self.num_samples else f"{text} ({count})"
