"""The samples of the report: which ones, with the models' meshes and joints over them.

Samples are chosen by the main error: the worst and best by the mean over all models, those on
which the models differ most, and each model's own worst and best. Every sample shows all models.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from handzoo.evaluation.functional import fit_similarity
from handzoo.evaluation.protocol import metric_info
from handzoo.hands.camera import normalized_to_pixels, weak_perspective_project
from handzoo.zoo.compare.outcome import Predictions, trial_folder

if TYPE_CHECKING:
    from mmengine.config import Config

    from handzoo.zoo.compare.figures import Figures
    from handzoo.zoo.compare.run import Comparison

SIZE = 224  # pixels of a picture
_QUALITY = 84
_UNIT = 1e-5  # metres of one step of a vertex coordinate: 16 bits reach 327 mm
logger = logging.getLogger("handzoo")


@dataclass
class Chosen:
    """One sample of the report.

    Attributes:
        sample_id: as text.
        kinds: why it was chosen: ``worst``, ``best``, ``differ``, ``worst of <label>``, ...
        errors: label -> main error.
    """

    sample_id: str
    kinds: list[str] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)


def choose_samples(figures: Figures, metric: str, count: int) -> list[Chosen]:
    """Pick the samples.

    Args:
        figures: with the metric's values by sample.
        metric: what they are judged by.
        count: of the worst, of the best, and of those on which the models differ most.
    """
    arrays = figures.per_sample.get(metric, {})
    if not arrays or not count:
        return []
    sign = -1.0 if metric_info(metric).higher_is_better else 1.0
    errors = np.stack([sign * array for array in arrays.values()])
    known = np.flatnonzero(~np.isnan(errors).any(axis=0))
    if not len(known):
        return []
    errors = errors[:, known]
    mean = errors.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    chosen: dict[int, Chosen] = {}

    def add(place: int, kind: str) -> None:
        index = int(known[place])
        values = {label: float(array[index]) for label, array in arrays.items()}
        row = chosen.setdefault(index, Chosen(figures.sample_ids[index], [], values))
        row.kinds.append(kind)

    for place in order[::-1][:count]:
        add(int(place), "worst")
    for place in order[:count]:
        add(int(place), "best")
    if len(arrays) > 1:
        spread = errors.max(axis=0) - errors.min(axis=0)
        for place in np.argsort(-spread, kind="stable")[:count]:
            add(int(place), "differ")
        for row, label in zip(errors, arrays, strict=True):
            add(int(row.argmax()), f"worst of {label}")
            add(int(row.argmin()), f"best of {label}")
    return list(chosen.values())


def build_gallery(
    comparison: Comparison,
    configs: dict[str, Config],
    metric: str,
    progress: Callable[[str, int, int], None],
) -> dict[str, Any]:
    """Draw the samples.

    Returns:
        ``samples``: rows with pictures as data URIs and vertices as base64; ``faces``: name of a
        hand model -> its faces as base64; both ready for the page.
    """
    figures = comparison.figures
    chosen = choose_samples(figures, metric, comparison.settings.samples) if figures else []
    artists = [_Artist(o, comparison, configs[o.label]) for o in comparison.finished]
    artists = [artist for artist in artists if artist.predictions is not None]
    rows = []
    for index, sample in enumerate(chosen):
        progress("pictures", index, len(chosen))
        row: dict[str, Any] = {
            "id": sample.sample_id, "kinds": sample.kinds, "errors": sample.errors, "models": {},
        }  # fmt: skip
        for number, artist in enumerate(artists):
            if number == 0:
                row |= artist.truth(sample.sample_id)
            row["models"][artist.label] = artist.prediction(sample.sample_id)
        rows.append(row)
    faces = {artist.hand: _encode(artist.faces, "<u2") for artist in artists if chosen}
    hands = {artist.label: artist.hand for artist in artists}
    return {"samples": rows, "faces": faces, "hands": hands, "unit_mm": _UNIT * 1000}


class _Artist:
    """Draws one model's predictions over its own crops."""

    def __init__(self, outcome: Any, comparison: Comparison, cfg: Config) -> None:
        from handzoo.registry import HAND_MODELS

        self.label = outcome.label
        self.predictions = Predictions.load(trial_folder(outcome.folder, 0))
        hand = HAND_MODELS.build(cfg.model.get("hand_model") or {"type": "auto"}, key="hand_model")
        self.faces = hand.faces.numpy()
        self.hand = outcome.identity["hand_model"]
        self.dataset = comparison.data.build(cfg)
        self.vertices_fit = "MPVPE" not in comparison.shared.left_out
        if self.predictions is not None:
            self._place = {str(n): i for i, n in enumerate(self.predictions.sample_ids)}

    def _item(self, sample_id: str) -> tuple[np.ndarray, Any, float]:
        """The crop, enlarged for the page, its annotation, and by how much it was enlarged."""
        item = self.dataset[self._place[sample_id]]
        crop = np.ascontiguousarray(item["inputs"].numpy().transpose(1, 2, 0))
        scale = SIZE / crop.shape[0]
        if scale != 1:
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            crop = cv2.resize(crop, (SIZE, SIZE), interpolation=method)
        return crop, item["data_samples"], scale

    def truth(self, sample_id: str) -> dict[str, Any]:
        """``image``, and ``truth`` with its pictures and vertices as far as they are annotated."""
        from handzoo.visualization import Style, draw_skeleton, overlay_mesh
        from handzoo.visualization.renderer import CLAY

        crop, sample, scale = self._item(sample_id)
        truth: dict[str, Any] = {}
        if bool(sample.joints2d_valid.any()):
            joints = (sample.joints2d.numpy() + 0.5) * scale - 0.5
            truth["joints"] = _picture(draw_skeleton(crop, joints, sample.joints2d_valid.numpy()))
        if bool(sample.vertices_valid):
            truth["vertices"] = _encode_vertices(sample.vertices.numpy())
            if bool(sample.root_valid) and bool(sample.K_valid):
                shift = (scale - 1) / 2
                larger = np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1.0]])
                K = torch.from_numpy(larger).float() @ sample.K
                placed = sample.vertices + sample.root
                truth["mesh"] = _overlay(
                    overlay_mesh, crop, placed, self.faces, K, Style(color=CLAY)
                )
        return {"image": _picture(crop), "truth": truth}

    def prediction(self, sample_id: str) -> dict[str, Any]:
        """``joints`` and ``mesh`` pictures, ``vertices``, and the ``fit`` to the truth."""
        from handzoo.visualization import draw_skeleton, overlay_weak_perspective

        crop, sample, _ = self._item(sample_id)
        place = self._place[sample_id]
        camera = torch.from_numpy(self.predictions.camera[place]).float()
        joints = torch.from_numpy(self.predictions.joints[place]).float()
        vertices = torch.from_numpy(self.predictions.vertices[place].astype(np.float32))
        projected = weak_perspective_project(joints[None], camera[None])[0]
        joints2d = normalized_to_pixels(projected, SIZE).numpy()
        row: dict[str, Any] = {"joints": _picture(draw_skeleton(crop, joints2d))}
        if self.faces.max() < len(vertices):
            row["mesh"] = _overlay(overlay_weak_perspective, crop, vertices, self.faces, camera)
            row["vertices"] = _encode_vertices(vertices.numpy())
            row["fit"] = self._fit(sample, joints.numpy(), vertices.numpy())
        return row

    def _fit(self, sample: Any, joints: np.ndarray, vertices: np.ndarray) -> list[float] | None:
        """Rotation (9), scale, and the two centres in mm that carry the prediction to the truth."""
        if bool(sample.vertices_valid) and self.vertices_fit:
            pair = sample.vertices.numpy()[None], vertices[None]
        elif int(sample.joints3d_valid.sum()) >= 3:
            known = sample.joints3d_valid.numpy()
            pair = sample.joints3d.numpy()[None, known], joints[None, known]
        else:
            return None
        fit = fit_similarity(*pair, reflections=False)
        values = [*fit.rotation[0].ravel(), fit.scale[0]]
        values += [*(1000 * fit.pred_mean[0].ravel()), *(1000 * fit.gt_mean[0].ravel())]
        return [round(float(value), 6) for value in values]


def _overlay(draw: Callable[..., np.ndarray], *arguments: Any) -> str | None:
    """The picture, or None where PyTorch3D, which draws, is not installed."""
    try:
        return _picture(draw(*arguments))
    except ImportError as error:
        logger.warning("meshes are not drawn over pictures: %s", error)
        return None


def _picture(image: np.ndarray) -> str:
    """JPEG as a data URI."""
    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not ok:
        raise RuntimeError("OpenCV cannot write JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _encode_vertices(vertices: np.ndarray) -> str:
    return _encode(np.clip(np.round(vertices / _UNIT), -32768, 32767), "<i2")


def _encode(values: np.ndarray | Sequence[int], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=dtype).tobytes()).decode()
