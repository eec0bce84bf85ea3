"""From a trained model to the form that runs fastest: same function, fewer operations."""

from handzoo.models.deploy.batch_norm import fold_batch_norms
from handzoo.models.deploy.run import deploy_model, deploy_parts
from handzoo.models.deploy.winograd import WinogradConv2d, use_winograd

__all__ = [
    "WinogradConv2d",
    "deploy_model",
    "deploy_parts",
    "fold_batch_norms",
    "use_winograd",
]
