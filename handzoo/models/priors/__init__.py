"""Knowledge that is not in the image."""

from handzoo.models.priors.predefined_joints import PredefinedJoints

__all__ = ["PredefinedJoints"]
