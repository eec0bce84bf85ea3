"""Assembles the bundled hand: geometry, rig, correctives, shapes and markings in one dictionary."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handzoo.hands.articulation import Articulation
from handzoo.hands.conventions import MANO_PARENTS, TIP_VERTICES
from handzoo.hands.generation.anatomy import (
    FIRST_JOINT,
    SHAPE_NAMES,
    WRIST,
    Anatomy,
    ShapeParameters,
    build_anatomy,
)  # fmt: skip
from handzoo.hands.generation.correctives import pose_correctives
from handzoo.hands.generation.layout import Layout, build_layout, split_quads
from handzoo.hands.generation.markings import (
    DIGIT_ORDER,
    crease_mask,
    nail_boxes,
    nail_mask,
    palm_mask,
)  # fmt: skip
from handzoo.hands.generation.motion import joint_limits, relaxed_angles
from handzoo.hands.generation.rigging import joint_regressor, skinning_weights
from handzoo.hands.generation.skin import fit_mesh

_MM = 1e-3
_SIZE_STEP = 0.05


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (N,3) of a mesh."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    result = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(result, faces[:, corner], normal)
    return result / np.linalg.norm(result, axis=1, keepdims=True)


def shape_directions(layout: Layout, template: np.ndarray) -> np.ndarray:
    """``shapedirs`` (778,3,10) in mm per standard deviation: central differences of the generator.

    The wrist stays where it is. Each direction has the directions before it that it resembles
    (overall size, finger length, ...) partly removed, so that coefficients hardly mix.
    """
    columns = [_SIZE_STEP * (template - WRIST)]
    for index in range(1, len(SHAPE_NAMES)):
        ends = [fit_mesh(layout, build_anatomy(ShapeParameters.unit(index, sign)))
                for sign in (1.0, -1.0)]  # fmt: skip
        columns.append(0.5 * (ends[0] - ends[1]))
    for index in range(1, len(columns)):
        size = columns[0].ravel()
        share = (columns[index].ravel() @ size) / (size @ size)
        columns[index] = columns[index] - share * columns[0]
    return np.stack(columns, axis=-1)


def _axes(anatomy: Anatomy) -> dict[str, np.ndarray]:
    axes = {name: np.zeros((15, 3)) for name in ("flexion", "abduction", "twist")}
    for name, first in FIRST_JOINT.items():
        finger = anatomy.fingers[name]
        rows = slice(first - 1, first + 2)
        axes["flexion"][rows] = finger.radial
        axes["abduction"][rows] = finger.dorsal
        axes["twist"][rows] = finger.forward
    return axes


def _radii(anatomy: Anatomy) -> np.ndarray:
    radii = np.zeros(15)
    for name, first in FIRST_JOINT.items():
        sizes = (14.0, 10.5, 9.5) if name == "thumb" else (12.0, 8.6, 7.4)
        radii[first - 1 : first + 2] = np.array(sizes) * anatomy.fingers[name].girth
    return radii


def vertex_order(layout: Layout) -> np.ndarray:
    """Permutation: new position -> old vertex, with the tips where MANO has them.

    All published tip sets lie around the same finger tips, so every set finds a tip vertex or a
    neighbour of it here too.
    """
    order = np.arange(layout.count)
    place = order.copy()
    wanted = np.array(list(TIP_VERTICES.values()))
    for digit, name in enumerate(DIGIT_ORDER):
        slots = list(dict.fromkeys(wanted[:, digit].tolist()))
        cap = layout.caps[name]
        for slot, vertex in zip(slots, [cap[5], *cap[:5]], strict=False):
            here, there = place[vertex], order[slot]
            order[slot], order[here] = vertex, there
            place[vertex], place[there] = slot, here
    return order


def build_hand_asset() -> dict[str, np.ndarray]:
    """Everything the asset file holds; float32 and metres, radians, unless said otherwise.

    MANO's keys: ``v_template`` (778,3), ``f`` (1538,3) int64, ``shapedirs`` (778,3,10) per standard
    deviation of ``shape_names``, ``posedirs`` (778,3,135) linear in ``R - I``, ``J_regressor``
    (16,778), ``J`` (16,3), ``weights`` (778,16), ``parents`` (16,) with -1 for the wrist,
    ``hands_mean`` (45,).

    Beyond MANO: ``tip_vertices`` (5,) thumb to little finger; ``flex_axes``, ``abd_axes``,
    ``twist_axes`` (15,3) and ``joint_limits`` (15,3,2) for (flexion, abduction, twist), see
    :mod:`handzoo.hands.articulation`; ``part_labels`` (778,) joint that moves the vertex most;
    ``boundary`` (16,) the wrist's rim; ``nails``, ``palm_side``, ``creases`` (778,) in [0,1];
    ``nail_centers`` (5,3), ``nail_frames`` (5,3,3), ``nail_half_sizes`` (5,3), see
    :func:`handzoo.hands.generation.markings.nail_boxes`.
    """
    layout, anatomy = build_layout(), build_anatomy()
    vertices = fit_mesh(layout, anatomy)
    faces = split_quads(layout, vertices)
    joints = anatomy.joints()
    weights = skinning_weights(layout, anatomy, vertices)
    regressor = joint_regressor(layout, anatomy, vertices)
    axes, limits = _axes(anatomy), joint_limits()
    posedirs = pose_correctives(vertices, joints, weights, axes, limits, _radii(anatomy))
    shapedirs = shape_directions(layout, vertices)
    normals = vertex_normals(vertices, faces)
    palm = palm_mask(normals, layout, anatomy)
    centers, frames, sizes = nail_boxes(anatomy)
    articulation = Articulation(axes["flexion"], axes["abduction"], axes["twist"], limits)
    order = vertex_order(layout)
    rank = np.argsort(order)
    floats = {
        "v_template": vertices[order] * _MM,
        "shapedirs": shapedirs[order] * _MM,
        "posedirs": posedirs[order] * _MM,
        "J_regressor": regressor[:, order],
        "J": joints * _MM,
        "weights": weights[order],
        "hands_mean": articulation.compose(*relaxed_angles()),
        "flex_axes": axes["flexion"],
        "abd_axes": axes["abduction"],
        "twist_axes": axes["twist"],
        "joint_limits": limits,
        "nails": nail_mask(vertices, layout, anatomy)[order],
        "palm_side": palm[order],
        "creases": crease_mask(vertices, layout, anatomy, palm)[order],
        "nail_centers": centers * _MM,
        "nail_frames": frames,
        "nail_half_sizes": sizes * _MM,
    }
    asset = {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in floats.items()}
    asset["f"] = rank[faces].astype(np.int64)
    asset["parents"] = np.array(MANO_PARENTS, dtype=np.int64)
    asset["part_labels"] = weights[order].argmax(1).astype(np.int64)
    asset["tip_vertices"] = np.array([rank[layout.caps[n][5]] for n in DIGIT_ORDER], np.int64)
    asset["boundary"] = rank[layout.boundary].astype(np.int64)
    asset["shape_names"] = np.array(SHAPE_NAMES)
    return asset


def save_hand_asset(path: str | Path) -> Path:
    """Build the asset and write it as a compressed ``.npz``; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **build_hand_asset())
    return path
