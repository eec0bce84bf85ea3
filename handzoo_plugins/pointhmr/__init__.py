"""PointHMR: vertex features sampled at heatmap-guided points, attention masked ever closer."""
