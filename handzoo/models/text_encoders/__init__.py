"""Frozen language-image encoders."""

from handzoo.models.text_encoders.open_clip import OpenCLIP

__all__ = ["OpenCLIP"]
