"""Integral regression: every joint and mesh point is the expectation of its own 2.5D heatmap."""
