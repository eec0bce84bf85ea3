"""One estimator for every method of the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from handzoo.errors import ConfigError, DataError
from handzoo.hands.models import HandModel
from handzoo.hands.topology import HandTopology
from handzoo.models.base import Features
from handzoo.models.estimators.contract import being_traced, check_prediction, check_queries
from handzoo.models.estimators.preprocessor import HandDataPreprocessor
from handzoo.models.losses import wrist_relative
from handzoo.models.topology import topology_from_config
from handzoo.registry import (
    BACKBONES,
    ESTIMATORS,
    GUIDANCES,
    HAND_MODELS,
    LOSSES,
    MESH_HEADS,
    NECKS,
    PRIORS,
    QUERY_HEADS,
    current_key_path,
)
from handzoo.structures import HandDataSample, HandPrediction, HandTargets

Config = Mapping[str, Any]
MODES = ("tensor", "loss", "predict")


@ESTIMATORS.register_module()
class HandMeshEstimator(BaseModel):
    """Image -> camera, joints and mesh of a right hand, by a choice of parts.

    Args:
        backbone: image -> four feature maps.
        mesh_head: queries and features -> prediction.
        neck: four maps -> one of high resolution.
        query_head: features -> queries of the mesh head.
        prior: refines the prediction.
        guidance: shapes features in training, not run at inference.
        loss: one loss or a list of them; not needed at inference.
        hand_model: parametric hand that gives mesh and topology.
        topology: ``dict(source='computed'|'metro', ...)``, see
            :func:`handzoo.models.topology.topology_from_config`.
        data_preprocessor: see :class:`HandDataPreprocessor`.
        channels_last: keep convolution weights and images channels-last.
        init_cfg: MMEngine's.

    Raises:
        ConfigError: a part is unknown, or the parts do not fit each other.
    """

    source = "CLIP-Hand, section 3.1"

    def __init__(
        self,
        backbone: Config,
        mesh_head: Config,
        neck: Config | None = None,
        query_head: Config | None = None,
        prior: Config | None = None,
        guidance: Config | None = None,
        loss: Config | Sequence[Config] | None = None,
        hand_model: Config | HandModel | None = None,
        topology: Config | HandTopology | None = None,
        data_preprocessor: Config | None = None,
        channels_last: bool = False,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(_build_preprocessor(data_preprocessor, channels_last), init_cfg)
        hand = HAND_MODELS.build(hand_model or {"type": "auto"}, key="hand_model")
        if not isinstance(topology, HandTopology):
            topology = topology_from_config(topology, hand)
        # Neither is a submodule: the hand model's licence keeps it out of checkpoints.
        object.__setattr__(self, "hand_model", hand)
        object.__setattr__(self, "topology", topology)
        self._contract_kept = False  # looked at once, when the model first runs
        self.backbone = BACKBONES.build(backbone, key="backbone")
        channels = tuple(self.backbone.channels)
        context: dict[str, Any] = {
            "feature_channels": channels,
            "topology": topology,
            "hand_model": hand,
        }
        self.neck = self._optional(NECKS, neck, "neck", in_channels=channels)
        context["high_channels"] = self.neck.out_channels if self.neck is not None else None
        self.query_head = self._optional(QUERY_HEADS, query_head, "query_head", **context)
        queries = self.query_head.out_channels if self.query_head is not None else None
        self.mesh_head = MESH_HEADS.build(
            mesh_head, key="mesh_head", query_channels=queries, **context
        )
        self.prior = self._optional(PRIORS, prior, "prior", topology=topology)
        preprocessor = self.data_preprocessor
        self.guidance = self._optional(
            GUIDANCES,
            guidance,
            "guidance",
            feature_channels=channels,
            image_mean=preprocessor.mean.flatten().tolist(),
            image_std=preprocessor.std.flatten().tolist(),
        )
        configs = [] if loss is None else [loss] if isinstance(loss, Mapping) else list(loss)
        self.losses = torch.nn.ModuleList(
            LOSSES.build(config, key="loss", topology=topology, hand_model=hand)
            for config in configs
        )
        if channels_last:
            self.to(memory_format=torch.channels_last)

    @staticmethod
    def _optional(registry: Any, config: Config | None, key: str, **context: Any) -> Any:
        return None if config is None else registry.build(config, key=key, **context)

    def init_weights(self) -> None:
        """Load the pretrained weights that parts ask for.

        MMEngine's own method also logs every parameter of the model, which is thousands of lines.
        """
        if self.init_cfg:
            super().init_weights()
            return
        for part in self.children():
            if callable(getattr(part, "init_weights", None)):
                part.init_weights()

    def deploy(self, **options: Any) -> HandMeshEstimator:
        """A frozen copy in its fastest form, equal to this model to 1e-4 in fp32.

        Args:
            **options: ``dtype``, ``compile`` and others of
                :func:`handzoo.models.deploy.deploy_model`, which says what is done.
        """
        from handzoo.models.deploy import deploy_model

        return deploy_model(self, **options)

    def extract(self, images: Tensor) -> Features:
        """Backbone and neck: normalised images (B, 3, H, W) -> features."""
        maps = tuple(self.backbone(images))
        return Features(maps, self.neck(maps) if self.neck is not None else None)

    def estimate(self, features: Features, targets: HandTargets | None = None) -> HandPrediction:
        """Queries, mesh head and prior: features -> prediction in float32.

        Args:
            features: of :meth:`extract`.
            targets: in training, for the augmentation that the prior's templates go through.

        Raises:
            ContractError: the first time, if a part gives back what its role does not promise.
        """
        check = not self._contract_kept and not being_traced()
        batch = len(features.maps[0]) if check else 0
        query = self.query_head(features) if self.query_head is not None else None
        if check and query is not None:
            check_queries("query_head", self.query_head, query, batch)
        prediction = self.mesh_head(query.queries if query else None, features)
        if check:
            check_prediction("mesh_head", self.mesh_head, prediction, batch, self.topology)
        if query is not None and query.heatmaps is not None:
            prediction = prediction.replace(heatmaps=query.heatmaps)
        if self.prior is not None:
            prediction = self.prior(prediction, targets)
            if check:
                check_prediction("prior", self.prior, prediction, batch, self.topology)
        if check:
            self._contract_kept = True
        return prediction.float()

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[HandDataSample] | None = None,
        mode: str = "tensor",
    ) -> HandPrediction | dict[str, Tensor] | list[HandDataSample]:
        """Run the estimator.

        Args:
            inputs: (B, 3, H, W), normalised (see :class:`HandDataPreprocessor`).
            data_samples: annotations; needed for ``loss``, filled for ``predict``.
            mode: ``tensor`` gives the :class:`HandPrediction`, ``loss`` the losses by name,
                ``predict`` the samples with ``pred_*`` fields.

        Raises:
            ConfigError: the mode is unknown, or losses are asked of a model without any.
            DataError: losses are asked without annotations.
        """
        if mode == "tensor":
            return self.estimate(self.extract(inputs))
        if mode == "predict":
            return self.predict(inputs, data_samples)
        if mode == "loss":
            return self.loss(inputs, data_samples)
        raise ConfigError(f"mode {mode!r} is not one of {', '.join(MODES)}.")

    def loss(
        self, inputs: Tensor, data_samples: Sequence[HandDataSample] | None
    ) -> dict[str, Tensor]:
        """Losses of a batch by name, weighted."""
        if not self.losses:
            raise ConfigError(
                f"{current_key_path('model.loss')}: the model has no loss, so it cannot be "
                "trained; add loss=dict(type='HandLoss')."
            )
        if not data_samples:
            raise DataError("a loss needs annotations: pass data_samples.")
        targets = HandTargets.from_samples(data_samples).to(inputs.device)
        features = self.extract(inputs)
        prediction = self.estimate(features, targets)
        losses: dict[str, Tensor] = {}
        with torch.autocast(inputs.device.type, enabled=False):
            for module in self.losses:
                _add(losses, module(prediction, targets))
        if self.guidance is not None:
            _add(losses, self.guidance.loss(inputs, features, targets, self._encode_raw))
        return losses

    def _encode_raw(self, images: Tensor) -> Features:
        """Features of images of 0 to 255, for guidance that needs a second view."""
        return self.extract(self.data_preprocessor.normalize(images))

    def predict(
        self, inputs: Tensor, data_samples: Sequence[HandDataSample] | None = None
    ) -> list[HandDataSample]:
        """The samples (or new ones), each with camera, joints and mesh; see HandDataSample."""
        prediction = self.estimate(self.extract(inputs)).detach()
        if getattr(self.mesh_head, "free_origin", False):
            prediction = wrist_relative(prediction)
        samples = data_samples or [HandDataSample() for _ in range(len(inputs))]
        for index, sample in enumerate(samples):
            sample.pred_camera = prediction.camera[index]
            sample.pred_joints = prediction.joints[index]
            sample.pred_vertices = prediction.vertices[index]
            sample.pred_joints_from_vertices = prediction.joints_from_vertices[index]
        return list(samples)


def _build_preprocessor(config: Config | None, channels_last: bool) -> HandDataPreprocessor:
    config = {"type": "HandDataPreprocessor", **(config or {})}
    return ESTIMATORS.build(config, key="data_preprocessor", channels_last=channels_last)


def _add(losses: dict[str, Tensor], more: Mapping[str, Tensor]) -> None:
    for name, value in more.items():
        losses[name] = losses[name] + value if name in losses else value
