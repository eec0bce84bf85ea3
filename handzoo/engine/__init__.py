"""Training and testing: set-up of MMEngine's Runner, hooks, strict configs and checkpoints."""

from handzoo.engine import loops, optim, sampling  # noqa: F401  (each registers its classes)
