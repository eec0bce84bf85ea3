"""METRO's queries, from the part of the last map that is the image feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handzoo.errors import ConfigError
from handzoo.hands.models import HandModel
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, QueryOutput
from handzoo.models.query_heads.template import TemplateQueries
from handzoo.registry import current_key_path


class GraphormerQueries(TemplateQueries):
    """[template point, pooled image feature], the image feature being the first part of f4.

    Args:
        feature_channels: channels of the backbone's maps.
        topology, hand_model: see :class:`~handzoo.models.query_heads.TemplateQueries`.
        image_channels: channels of f4 that are the image feature; the rest is the grid's.
        **options: ``mask_ratio``, ``mask_value``, ``template_tips`` of ``TemplateQueries``.

    Raises:
        ConfigError: f4 has no channels for the grid.
    """

    source = "MeshGraphormer (Lin et al., ICCV 2021), section 3.3"

    def __init__(
        self,
        feature_channels: Sequence[int],
        topology: HandTopology,
        hand_model: HandModel,
        image_channels: int = 2048,
        **options: Any,
    ) -> None:
        check_split(feature_channels, image_channels)
        super().__init__((image_channels,), topology, hand_model, **options)
        self.image_channels = image_channels

    def forward(self, features: Features) -> QueryOutput:
        """Return tokens (B, 216, 3 + image_channels): joints, then coarse vertices."""
        return super().forward(Features((features.maps[-1][:, : self.image_channels],)))


def check_split(feature_channels: Sequence[int], image_channels: int) -> None:
    """Raise ConfigError unless f4 has ``image_channels`` channels and some more for the grid."""
    if not 0 < image_channels < feature_channels[-1]:
        raise ConfigError(
            f"{current_key_path('image_channels')}: f4 must hold the image feature and the grid, "
            f"and has {feature_channels[-1]} channels of which {image_channels} are the image's. "
            "The backbone for it is dict(type='graphormer/GridHRNet')."
        )
