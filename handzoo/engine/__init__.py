"""Training and testing: set-up of MMEngine's Runner, hooks, strict configs and checkpoints."""
