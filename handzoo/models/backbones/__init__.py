"""Image -> feature maps of strides 4, 8, 16, 32."""

from handzoo.models.backbones.pat import PAT
from handzoo.models.backbones.timm_backbone import TimmBackbone

__all__ = ["PAT", "TimmBackbone"]
