"""From a picture and its annotation to a packed sample."""

from handzoo.datasets.transforms.affine import HandAffine, HandCrop, RandomHandAffine
from handzoo.datasets.transforms.formatting import PackHandInputs
from handzoo.datasets.transforms.loading import BuildPrompt, LoadHandImage
from handzoo.datasets.transforms.photometric import ColorJitter, RandomOcclusion
from handzoo.datasets.transforms.views import TwoViews

__all__ = [
    "BuildPrompt",
    "ColorJitter",
    "HandAffine",
    "HandCrop",
    "LoadHandImage",
    "PackHandInputs",
    "RandomHandAffine",
    "RandomOcclusion",
    "TwoViews",
]
