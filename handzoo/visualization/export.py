"""Meshes as files for other programs: OBJ and GLB, in metres.

OBJ keeps the camera frame (x right, y down, z forward), so that it fits the predictions written
beside it. GLB is defined as right-handed with y up and the front towards +z, so the hand is
turned half round about x: (x, y, z) -> (x, -y, -z), a rotation that leaves it the same hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from handzoo.visualization.renderer import SKIN, mirrored_faces

if TYPE_CHECKING:
    import trimesh

_CAMERA_TO_GLB = np.array([1.0, -1.0, -1.0])


def to_trimesh(
    vertices: np.ndarray, faces: np.ndarray, is_right: bool = True, y_up: bool = False
) -> trimesh.Trimesh:
    """A trimesh mesh.

    Args:
        vertices: (V, 3) metres in the camera frame.
        faces: (F, 3) of the right hand.
        is_right: False for a mirrored hand, whose faces are turned to point outwards.
        y_up: turn from the camera frame to GLB's.
    """
    import trimesh

    vertices = np.asarray(vertices, dtype=np.float64) * (_CAMERA_TO_GLB if y_up else 1.0)
    faces = np.asarray(faces) if is_right else mirrored_faces(np.asarray(faces))
    return trimesh.Trimesh(vertices, faces, process=False)


def export_obj(
    path: str | Path, vertices: np.ndarray, faces: np.ndarray, is_right: bool = True
) -> None:
    """Write an OBJ in the camera frame (x right, y down, z forward), metres.

    Args:
        path: of the file.
        vertices: (V, 3) metres in the camera frame.
        faces: (F, 3) of the right hand.
        is_right: False for a mirrored hand.
    """
    mesh = to_trimesh(vertices, faces, is_right)
    header = "hand mesh, metres, camera frame: x right, y down, z forward"
    Path(path).write_text(f"# {header}\n" + mesh.export(file_type="obj", header=None))


def export_glb(
    path: str | Path,
    vertices: np.ndarray,
    faces: np.ndarray,
    is_right: bool = True,
    color: tuple[float, float, float] = SKIN,
) -> None:
    """Write a GLB (right-handed, y up, metres) with a skin-coloured, matt, two-sided material.

    Args:
        path: of the file.
        vertices: (V, 3) metres in the camera frame.
        faces: (F, 3) of the right hand.
        is_right: False for a mirrored hand.
        color: sRGB in 0..1.
    """
    import trimesh

    mesh = to_trimesh(vertices, faces, is_right, y_up=True)
    linear = [*(channel**2.2 for channel in color), 1.0]  # glTF's factors are linear
    material = trimesh.visual.material.PBRMaterial(
        baseColorFactor=linear, metallicFactor=0.0, roughnessFactor=0.7, doubleSided=True
    )
    mesh.visual = trimesh.visual.TextureVisuals(material=material)
    Path(path).write_bytes(mesh.export(file_type="glb", include_normals=True))
