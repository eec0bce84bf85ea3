"""What training minimises."""

from handzoo.models.losses.hand_loss import HandLoss
from handzoo.models.losses.heatmap import HeatmapLoss
from handzoo.models.losses.mano_parameters import ManoParameterLoss
from handzoo.models.losses.mesh_shape import MeshShapeLoss
from handzoo.models.losses.metro_loss import MetroLoss, wrist_relative
from handzoo.models.losses.nt_xent import nt_xent

__all__ = [
    "HandLoss",
    "HeatmapLoss",
    "ManoParameterLoss",
    "MeshShapeLoss",
    "MetroLoss",
    "nt_xent",
    "wrist_relative",
]
