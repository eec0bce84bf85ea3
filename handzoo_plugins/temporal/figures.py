"""Figures of a filter on held-out motions: error, and error of acceleration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from handzoo.apis.filters import HandState, PredictionFilter
from handzoo_plugins.temporal.motions import Clip

MILLIMETRES = 1000.0


def apply(prediction_filter: PredictionFilter | None, clip: Clip) -> HandState:
    """A clip's predictions through a filter, frame by frame, stacked: (T, ...) in each field.

    A clip without meshes is filtered with an empty one.
    """
    meshes = clip.noisy_vertices
    if meshes is None:
        meshes = np.zeros((len(clip.times), 778, 3), dtype=np.float32)
    camera = clip.noisy_camera.copy()
    camera[:, 0] = np.exp(camera[:, 0])
    states = [HandState(*frame) for frame in zip(clip.noisy_joints, meshes, camera, strict=True)]
    if prediction_filter is not None:
        prediction_filter.reset()
        states = [prediction_filter(s, t) for s, t in zip(states, clip.times, strict=True)]
    return HandState(
        *(np.stack([getattr(s, name) for s in states]) for name in ("joints", "vertices", "camera"))
    )


def acceleration(positions: np.ndarray) -> np.ndarray:
    """Second differences (T - 2, ..., 3), per frame squared."""
    return positions[2:] - 2 * positions[1:-1] + positions[:-2]


def measure(prediction_filter: PredictionFilter | None, clips: Sequence[Clip]) -> dict[str, float]:
    """Figures over all frames of all clips, relative to the wrist, without alignment.

    Returns:
        ``MPJPE (mm)``; ``MPJPE of worst 5 % of frames (mm)``; ``MPVPE (mm)`` where clips have
        meshes; ``acceleration error (mm/frame^2)``, the mean distance between second differences
        of prediction and truth over the joints; ``camera (1e-3)``, mean absolute error of
        (log s, u, v).
    """
    joints, vertices, jerky, camera = [], [], [], []
    for clip in clips:
        found = apply(prediction_filter, clip)
        joints.append(np.linalg.norm(found.joints - clip.joints, axis=-1).mean(1))
        if clip.vertices is not None:
            vertices.append(np.linalg.norm(found.vertices - clip.vertices, axis=-1).mean(1))
        difference = acceleration(found.joints.astype(np.float64)) - acceleration(clip.joints)
        jerky.append(np.linalg.norm(difference, axis=-1).mean(1))
        cameras = found.camera.copy()
        cameras[:, 0] = np.log(cameras[:, 0])
        camera.append(np.abs(cameras - clip.camera).mean(1))
    frames = np.sort(np.concatenate(joints))
    figures = {
        "MPJPE (mm)": MILLIMETRES * frames.mean(),
        "MPJPE of worst 5 % of frames (mm)": MILLIMETRES * frames[-len(frames) // 20 :].mean(),
        "acceleration error (mm/frame^2)": MILLIMETRES * np.concatenate(jerky).mean(),
        "camera (1e-3)": 1e3 * np.concatenate(camera).mean(),
    }
    if vertices:
        figures["MPVPE (mm)"] = MILLIMETRES * np.concatenate(vertices).mean()
    return {name: round(float(value), 3) for name, value in figures.items()}


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Figures by filter as a Markdown table."""
    names = list(next(iter(rows.values())))
    lines = [f"| {' | '.join(['filter', *names])} |", "|---" * (len(names) + 1) + "|"]
    lines += [
        f"| {' | '.join([filter_name, *(f'{figures[name]:.2f}' for name in names)])} |"
        for filter_name, figures in rows.items()
    ]
    return "\n".join(lines)
