"""Data sets of the field, read from their published layouts into one kind of sample."""

from handzoo.datasets.base import HandDataset, ImageReadError
from handzoo.datasets.dexter_object import DexterObject
from handzoo.datasets.freihand import FreiHAND
from handzoo.datasets.hagrid import GestureFolder, HaGRID
from handzoo.datasets.rhd import RHD

__all__ = [
    "RHD",
    "DexterObject",
    "FreiHAND",
    "GestureFolder",
    "HaGRID",
    "HandDataset",
    "ImageReadError",
]
