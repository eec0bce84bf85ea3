"""Pictures of hands: meshes, skeletons, panels, files. PyTorch3D is imported only to draw."""

from handzoo.visualization.export import export_glb, export_obj, to_trimesh
from handzoo.visualization.panels import tile
from handzoo.visualization.renderer import (
    Style,
    mirrored_faces,
    overlay_mesh,
    overlay_weak_perspective,
    render_mesh,
    render_view,
    side_view,
)
from handzoo.visualization.skeleton import FINGER_COLORS, draw_skeleton
from handzoo.visualization.visualizer import HandVisualizer

__all__ = [
    "FINGER_COLORS",
    "HandVisualizer",
    "Style",
    "draw_skeleton",
    "export_glb",
    "export_obj",
    "mirrored_faces",
    "overlay_mesh",
    "overlay_weak_perspective",
    "render_mesh",
    "render_view",
    "side_view",
    "tile",
    "to_trimesh",
]
