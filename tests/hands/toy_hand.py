"""A made-up hand model with MANO's sizes: a capped tube, with random blend shapes."""

from __future__ import annotations

import numpy as np

from handzoo.hands.conventions import MANO_PARENTS
from handzoo.hands.models import HandModelData


def tube_mesh(rings: int = 48, around: int = 16, splits: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Tube of rings, open at the start and capped at the end: 778 vertices, 1538 faces."""
    angle = 2 * np.pi * np.arange(around) / around
    t = np.linspace(0, 1, rings)[:, None]
    radius = 0.02 * (1 - 0.5 * t)
    x = 0.18 * t + 0 * angle
    vertices = np.stack((x, radius * np.cos(angle), radius * np.sin(angle)), -1).reshape(-1, 3)
    faces = []
    for ring in range(rings - 1):
        for k in range(around):
            a, b = ring * around + k, ring * around + (k + 1) % around
            faces += [(a, b, a + around), (b, b + around, a + around)]
    vertices = [*vertices, (0.185, 0, 0)]
    last = (rings - 1) * around
    cap = [(last + k, last + (k + 1) % around, len(vertices) - 1) for k in range(around)]
    for _ in range(splits):  # a vertex into a face of the cap: one vertex and two faces more
        a, b, c = cap.pop(0)
        vertices.append(np.mean([vertices[i] for i in (a, b, c)], axis=0))
        new = len(vertices) - 1
        cap += [(a, b, new), (b, c, new), (c, a, new)]
    return np.array(vertices), np.array(faces + cap)


def toy_hand_data(seed: int = 0) -> HandModelData:
    """Random but valid arrays on the tube mesh; joint k sits at k/16 of its length."""
    rng = np.random.default_rng(seed)
    vertices, faces = tube_mesh()
    centre = np.stack((0.18 * np.arange(16) / 16, np.zeros(16), np.zeros(16)), -1)
    squared = ((vertices[:, None] - centre) ** 2).sum(-1)
    weights = np.exp(-squared / 0.015**2) + 1e-9
    regressor = np.exp(-squared.T / 0.01**2) * rng.uniform(0.5, 1, (16, len(vertices)))
    return HandModelData(
        v_template=vertices,
        faces=faces,
        shapedirs=0.002 * rng.standard_normal((len(vertices), 3, 10)),
        posedirs=0.0005 * rng.standard_normal((len(vertices), 3, 135)),
        J_regressor=regressor / regressor.sum(1, keepdims=True),
        weights=weights / weights.sum(1, keepdims=True),
        hands_mean=0.1 * rng.standard_normal(45),
        parents=MANO_PARENTS,
    )
