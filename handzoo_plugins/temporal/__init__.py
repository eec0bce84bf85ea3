"""Prediction filters for video: the One-Euro filter and a small causal network."""
