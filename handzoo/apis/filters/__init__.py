"""Prediction filters: refine a hand's prediction by what earlier frames of the video showed."""

from handzoo.apis.filters.base import HandState, PredictionFilter
from handzoo.apis.filters.build import build_filter, parse_filter
from handzoo.apis.filters.tracks import TrackFilter

__all__ = ["HandState", "PredictionFilter", "TrackFilter", "build_filter", "parse_filter"]
