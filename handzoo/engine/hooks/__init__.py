"""Hooks of HandZoo's runs; importing this package registers them."""

from handzoo.engine.hooks.checkpoint import HandCheckpointHook
from handzoo.engine.hooks.ema import EMAHook
from handzoo.engine.hooks.guards import FiniteGuardHook, GracefulStopHook
from handzoo.engine.hooks.progress import HandLoggerHook, ProgressHook
from handzoo.engine.hooks.results import MetricsFileHook
from handzoo.engine.hooks.visualization import HandVisualizationHook

__all__ = [
    "EMAHook",
    "FiniteGuardHook",
    "GracefulStopHook",
    "HandCheckpointHook",
    "HandLoggerHook",
    "HandVisualizationHook",
    "MetricsFileHook",
    "ProgressHook",
]
