"""Intervals and tests against SciPy's, and against cases that can be worked out."""

import numpy as np
import pytest
from scipy import stats

from handzoo.evaluation.statistics import (
    bootstrap_interval,
    compare_paired,
    compare_to_reference,
    holm,
)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_equals_scipys_bootstrap(method, confidence):
    values = np.random.default_rng(0).gamma(2.0, 3.0, size=60)
    found = bootstrap_interval(values, method=method, confidence=confidence, seed=5, resamples=4000)
    expected = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=4000,
        method=method,
        confidence_level=confidence,
        rng=np.random.default_rng(5),
        vectorized=True,
    ).confidence_interval
    assert found.value == pytest.approx(values.mean())
    # Both draw the same indices from the same generator.
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_blocks_do_not_change_the_resamples(monkeypatch):
    from handzoo.evaluation import statistics

    values = np.random.default_rng(1).normal(size=50)
    whole = bootstrap_interval(values, resamples=500)
    monkeypatch.setattr(statistics, "_BLOCK", 999)
    parts = bootstrap_interval(values, resamples=500)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), rel=1e-12)


def test_coverage_of_skewed_errors():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        values = rng.gamma(2.0, 3.0, size=80)
        interval = bootstrap_interval(values, resamples=400, seed=trial)
        hits += interval.low <= 6.0 <= interval.high
    assert 178 <= hits <= 199  # 190 expected; binomial spread is 3


def test_unannotated_samples_are_left_out():
    values = np.random.default_rng(0).normal(size=40)
    gaps = np.insert(values, 10, np.nan)
    assert bootstrap_interval(gaps) == bootstrap_interval(values)
    assert bootstrap_interval(gaps).samples == 40


def test_groups_widen_the_interval():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 50)
    values = rng.normal(size=12)[groups] + rng.normal(size=600) * 0.1
    single = bootstrap_interval(values)
    grouped = bootstrap_interval(values, groups=groups)
    assert grouped.value == pytest.approx(single.value)
    assert grouped.high - grouped.low > 3 * (single.high - single.low)
    # Groups of one are no groups.
    alone = bootstrap_interval(values, groups=np.arange(600))
    assert (alone.low, alone.high) == pytest.approx((single.low, single.high))


def test_constant_values_and_wrong_arguments():
    flat = bootstrap_interval(np.full(10, 2.5))
    assert flat.low == flat.high == flat.value == 2.5
    for arguments, message in (
        ({"confidence": 1.0}, "confidence"),
        ({"method": "basic"}, "method"),
        ({"resamples": 10}, "resamples"),
        ({"groups": [1, 2]}, "groups"),
    ):
        with pytest.raises(ValueError, match=message):
            bootstrap_interval(np.arange(10.0), **arguments)
    with pytest.raises(ValueError, match="say nothing"):
        bootstrap_interval([1.0, np.nan])


def test_paired_comparison_sees_what_unpaired_noise_hides():
    rng = np.random.default_rng(2)
    base = rng.gamma(4.0, 2.0, size=300)
    better = base - 0.2 + rng.normal(size=300) * 0.3
    found = compare_paired(better, base)
    difference = better - base
    assert found.verdict == "better"
    assert found.difference.value == pytest.approx(difference.mean())
    assert found.difference.high < 0 and found.p_bootstrap < 0.01
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(difference).pvalue)
    assert found.better_share == pytest.approx((difference < 0).mean())
    assert compare_paired(better, base, higher_is_better=True).verdict == "worse"
    # The bootstrap's p agrees with the t-test's where both are far from zero.
    near = base + rng.normal(size=300) * 3 + 0.2
    expected = stats.ttest_rel(near, base).pvalue
    assert compare_paired(near, base).p_bootstrap == pytest.approx(expected, abs=0.02)


def test_equal_models_are_not_distinguishable():
    values = np.random.default_rng(0).normal(size=50)
    found = compare_paired(values, values)
    assert found.p_bootstrap == found.p_wilcoxon == 1.0
    assert found.verdict == "not distinguishable" and found.better_share == 0


def test_false_alarms_are_as_rare_as_promised():
    rng = np.random.default_rng(9)
    alarms = 0
    for trial in range(100):
        base = rng.normal(size=60)
        models = {"first": base} | {f"m{i}": base + rng.normal(size=60) for i in range(4)}
        compared = compare_to_reference(models, resamples=400, seed=trial)
        alarms += any(c.verdict != "not distinguishable" for c in compared.values())
    assert alarms <= 12  # 5 expected, of 100 families of four comparisons


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.6]), [1.0, 1.0])
    assert holm([]).shape == (0,)
    rng = np.random.default_rng(0)
    p = rng.uniform(size=7)
    ranks = np.argsort(np.argsort(p))
    expected = [
        min(1, max((7 - ranks[j]) * p[j] for j in range(7) if p[j] <= p[i])) for i in range(7)
    ]
    np.testing.assert_allclose(holm(p), expected)


def test_several_models_against_the_first():
    rng = np.random.default_rng(4)
    base = rng.gamma(4.0, 2.0, size=200)
    models = {
        "first": base,
        "same": base + rng.normal(size=200) * 0.5,
        "worse": base + 1.0,
        "gap": np.where(np.arange(200) < 50, np.nan, base - 1.0),
    }
    found = compare_to_reference(models)
    assert list(found) == ["same", "worse", "gap"]
    assert found["worse"].verdict == "worse" and found["gap"].verdict == "better"
    assert found["gap"].difference.samples == 150
    adjusted = holm([c.p_bootstrap for c in found.values()])
    np.testing.assert_allclose([c.p_holm for c in found.values()], adjusted)
    assert compare_to_reference(models, groups=np.arange(200) // 10)["same"].p_wilcoxon is None
    with pytest.raises(ValueError, match="same samples in the same order"):
        compare_to_reference({"a": base, "b": base[:10]})
    with pytest.raises(ValueError, match="no model is called"):
        compare_to_reference(models, "other")
