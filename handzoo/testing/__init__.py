"""The conformance kit: what every registered part must pass, the core's and a plugin's alike.

Use it from any package's pytest::

    import pytest
    from handzoo.testing import conformance_checks

    CONFIG = dict(type="my_head/MyHead", width=64)

    @pytest.mark.parametrize("check", conformance_checks("mesh_head"), ids=str)
    def test_my_head(check):
        check(CONFIG)

A check raises :class:`ConformanceError`, which says what the contract asks for
(:mod:`handzoo.models.base`) and what the part did instead.

Roles: the parts of an estimator (backbone, neck, query_head, mesh_head, prior, loss, guidance,
text_encoder, hand_model), and dataset, transform, metric, hook, prediction_filter,
resource_resolver and estimator, whose checks have a module each. A resolver is asked for by the
name of its resource: ``check(dict(name="my_kind/thing"))``.
"""

from handzoo.testing.checks import Check, conformance_checks
from handzoo.testing.drivers import ConformanceError, Context, default_context
from handzoo.testing.fixtures import make_features, make_prediction, make_targets

__all__ = [
    "Check",
    "ConformanceError",
    "Context",
    "conformance_checks",
    "default_context",
    "make_features",
    "make_prediction",
    "make_targets",
]
