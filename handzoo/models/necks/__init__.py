"""Feature maps -> one map of high resolution."""

from handzoo.models.necks.hfa import HFA

__all__ = ["HFA"]
