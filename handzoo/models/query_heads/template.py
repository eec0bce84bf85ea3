"""METRO's queries: each token is a template point and the whole image's feature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from handzoo.errors import ConfigError, suggest
from handzoo.hands.conventions import MANO_TO_JOINTS, NUM_JOINTS, NUM_POSE, TIP_VERTICES
from handzoo.hands.models import HandModel
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features, QueryHead, QueryOutput
from handzoo.registry import QUERY_HEADS


@QUERY_HEADS.register_module()
class TemplateQueries(QueryHead):
    """[template point, pooled image feature] for 21 joints and 195 coarse vertices.

    In training, masked-vertex modelling (section 3.3) hides a random part of the tokens, so that
    the network learns to infer a point from the others.

    Args:
        mask_ratio: largest part of the joints, and of the vertices, that a training sample may
            lose; what it loses is uniform below that, for each of the two. The paper uses 0.3,
            the released hand model 0 (METRO ``datasets/hand_mesh_tsv.py``, ``mvm_percent``).
        mask_value: what replaces every number of a hidden token.
        template_tips: set of :data:`~handzoo.hands.conventions.TIP_VERTICES` that gives the five
            finger tips of the template on MANO; None takes those of the hand model. METRO's
            template comes from manopth, whose middle tip is another vertex (444) than that of
            METRO's joint regressor (445), and its weights expect that.
        feature_channels: channels of the backbone's maps; the last is pooled.
        topology: gives the coarse vertices.
        hand_model: gives the template.

    Raises:
        ConfigError: ``mask_ratio`` is outside [0, 1], or ``template_tips`` is unknown.
    """

    source = "METRO (Lin et al., CVPR 2021), sections 3.2 and 3.3"
    has_camera = False

    def __init__(
        self,
        feature_channels: Sequence[int],
        topology: HandTopology,
        hand_model: HandModel,
        mask_ratio: float = 0.0,
        mask_value: float = 0.01,
        template_tips: str | None = None,
    ) -> None:
        super().__init__()
        if not 0.0 <= mask_ratio <= 1.0:
            raise ConfigError(
                f"model.query_head.mask_ratio: {mask_ratio} is not a part of the tokens; "
                "give a number from 0 (off) to 1, the METRO paper uses 0.3."
            )
        if template_tips is not None and template_tips not in TIP_VERTICES:
            raise ConfigError(
                f"model.query_head.template_tips: {template_tips!r} is none of "
                f"{', '.join(TIP_VERTICES)}. {suggest(template_tips, TIP_VERTICES)}"
            )
        self.mask_ratio = mask_ratio
        self.mask_value = mask_value
        self.out_channels = 3 + feature_channels[-1]
        # Derived from the hand model, so it stays out of checkpoints (and MANO out of weights).
        template = template_points(hand_model, topology, template_tips)
        self.register_buffer("template", template, persistent=False)

    def forward(self, features: Features) -> QueryOutput:
        """Return tokens (B, 216, 3 + D4): joints, then coarse vertices."""
        pooled = features.maps[-1].mean(dim=(2, 3))
        batch, points = pooled.shape[0], len(self.template)
        tokens = torch.cat(
            [
                self.template.to(pooled.dtype).expand(batch, -1, -1),
                pooled[:, None].expand(-1, points, -1),
            ],
            dim=2,
        )
        if self.training and self.mask_ratio > 0:
            hidden = self.sample_mask(batch, tokens.device)
            tokens = tokens.masked_fill(hidden[:, :, None], self.mask_value)
        return QueryOutput(tokens)

    def sample_mask(self, batch: int, device: torch.device | str) -> Tensor:
        """Draw which tokens to hide: (B, 216) bool, joints and vertices independently."""
        parts = []
        for points in (NUM_JOINTS, len(self.template) - NUM_JOINTS):
            number = (torch.rand(batch, 1, device=device) * self.mask_ratio * points).long()
            rank = torch.rand(batch, points, device=device).argsort(dim=1).argsort(dim=1)
            parts.append(rank < number)
        return torch.cat(parts, dim=1)


@torch.no_grad()
def template_points(
    hand_model: HandModel, topology: HandTopology, tips: str | None = None
) -> Tensor:
    """The mean hand as METRO's network sees it: (216, 3) metres, 21 joints and coarse vertices.

    The joints are the origins of the kinematic chain and vertices for the finger tips, as manopth
    returns them, and everything is relative to the chain's wrist; joints regressed from the mesh
    would differ by tenths of a millimetre.

    Args:
        hand_model: the model.
        topology: of the same model.
        tips: see :class:`TemplateQueries`; on a mesh that is not MANO's the model's own tips.
    """
    pose = hand_model.v_template.new_zeros(1, NUM_POSE)
    if hand_model.flat_hand_mean:  # the model does not add the mean pose by itself
        pose[0, 3:] = hand_model.hands_mean
    posed = hand_model(pose)
    own = tips is None or hand_model.is_stand_in
    tip_vertices = hand_model.tip_vertices if own else TIP_VERTICES[tips]
    chain = torch.cat([posed.skeleton[0], posed.vertices[0, list(tip_vertices)]])
    joints = chain[list(MANO_TO_JOINTS)]
    coarse = topology.downsample(posed.vertices[0])
    return torch.cat([joints, coarse]).float() - posed.skeleton[0, :1].float()
