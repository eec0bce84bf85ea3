"""Queries and features -> camera, joints and mesh."""

from handzoo.models.mesh_heads.fastmetro import FastMetroHead
from handzoo.models.mesh_heads.linear import LinearMeshHead, TokenLinearHead
from handzoo.models.mesh_heads.mano_regression import ManoRegressionHead
from handzoo.models.mesh_heads.metro import MetroHead
from handzoo.models.mesh_heads.mted import MTED

__all__ = [
    "MTED",
    "FastMetroHead",
    "LinearMeshHead",
    "ManoRegressionHead",
    "MetroHead",
    "TokenLinearHead",
]
