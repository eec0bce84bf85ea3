"""Branches that shape features in training and are gone at inference."""

from handzoo.models.guidance.clip_guidance import CLIPGuidance

__all__ = ["CLIPGuidance"]
