"""What a run was made of: goes into checkpoints and result files, so that figures keep a source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from handzoo.evaluation.results import environment
from handzoo.plugins import used_plugins
from handzoo.resources import ResourceReport


@dataclass
class RunInfo:
    """One run, as checkpoints and result files describe it.

    Attributes:
        model: name of the model.
        config: the whole config as text.
        seed: the seed that all randomness comes from.
        resources: what was real and what stood in.
        checkpoint: file and sha256 of the weights that a test began with; empty in training.
        notes: what a reader of the figures must know.
        plugin_uses: of :func:`handzoo.plugins.plugin_uses` when the run began; what an earlier
            run of the same process took from plugins is not this one's.
    """

    model: str
    config: str
    seed: int | None = None
    resources: ResourceReport = field(default_factory=ResourceReport)
    checkpoint: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    plugin_uses: int = 0

    @property
    def plugins(self) -> list[dict[str, str]]:
        """Plugins that the run took a class from, so far."""
        return used_plugins(self.plugin_uses)

    @property
    def config_sha256(self) -> str:
        """Hash of the config's text: equal figures need equal configs."""
        return hashlib.sha256(self.config.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and JSON."""
        return {
            "model": self.model,
            "config": self.config,
            "seed": self.seed,
            "plugins": self.plugins,
            "resources": self.resources.rows(),
            "environment": environment(),
        }
