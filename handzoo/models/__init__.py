"""Registered parts of a hand estimator, and the estimator that composes them."""
