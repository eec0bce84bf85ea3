"""How far a figure can be trusted, and whether two models differ: bootstrap, paired tests, Holm.

Everything works on errors (or scores) of single samples. The intervals say how a figure would
vary with other *test images*; they say nothing of other training seeds, which need trials.

Where samples come in groups that resemble each other (frames of a video), ``groups`` resamples
whole groups, since single frames would make the intervals too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

METHODS = ("bca", "percentile")
# Indices that are drawn at once: 16 MiB.
_BLOCK = 1 << 21


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, in the unit of the samples.

    Attributes:
        value: the mean over samples.
        low: lower end.
        high: upper end.
        confidence: for example 0.95.
        method: 'bca' or 'percentile'.
        samples: annotated samples behind it.
        resamples: bootstrap resamples.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    samples: int
    resamples: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PairedComparison:
    """One model against a reference on the same samples.

    Attributes:
        difference: mean of (model - reference), with its interval.
        better_share: share of samples on which the model is strictly better.
        p_bootstrap: two-sided, of the mean difference being zero.
        p_wilcoxon: two-sided signed-rank test of the differences being symmetric about zero; None
            where samples come in groups, which the test does not allow.
        p_holm: ``p_bootstrap`` after Holm's correction for all models that are compared.
        verdict: 'better', 'worse' or 'not distinguishable', by ``p_holm`` at 1 - confidence.
    """

    difference: Interval
    better_share: float
    p_bootstrap: float
    p_wilcoxon: float | None
    p_holm: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Units:
    """What is resampled: sums and counts of samples, or of groups of them."""

    sums: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, groups: np.ndarray | None) -> _Units:
        if groups is None:
            return cls(values, np.ones(len(values)))
        _, member = np.unique(groups, return_inverse=True)
        return cls(np.bincount(member, weights=values), np.bincount(member).astype(np.float64))

    def __len__(self) -> int:
        return len(self.sums)

    def mean(self) -> float:
        return float(self.sums.sum() / self.counts.sum())

    def resampled_means(self, resamples: int, seed: int) -> np.ndarray:
        """Means of bootstrap resamples, (R,)."""
        rng, size = np.random.default_rng(seed), len(self)
        means = np.empty(resamples)
        rows = max(1, _BLOCK // size)
        equal = bool((self.counts == 1).all())
        for begin in range(0, resamples, rows):
            part = slice(begin, min(begin + rows, resamples))
            indices = rng.integers(0, size, (part.stop - part.start, size))
            total = self.sums[indices].sum(axis=1)
            means[part] = total / (size if equal else self.counts[indices].sum(axis=1))
        return means

    def left_one_out(self) -> np.ndarray:
        """Jackknife means, one for each unit that is left out."""
        rest = self.counts.sum() - self.counts
        return (self.sums.sum() - self.sums) / rest


def _clean(
    values: Sequence[float] | np.ndarray, groups: Sequence[Any] | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"expected one value a sample, (N,), got {values.shape}")
    known = ~np.isnan(values)  # NaN marks what is not annotated
    if groups is None:
        return values[known], None
    groups = np.asarray(groups)
    if groups.shape != values.shape:
        raise ValueError(f"{len(values)} samples but groups of shape {groups.shape}")
    return values[known], groups[known]


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    method: str = "bca",
    seed: int = 0,
) -> Interval:
    """Confidence interval of the mean over samples.

    Args:
        values: (N,) per-sample errors; NaN is left out.
        groups: (N,) labels of samples that are resampled together.
        confidence: between 0 and 1.
        resamples: bootstrap resamples.
        method: 'bca' (bias-corrected and accelerated; Efron 1987) or 'percentile'.
        seed: of the resampling.

    Raises:
        ValueError: an argument is out of range, or fewer than two samples (groups) are left.
    """
    _check(confidence, resamples, method)
    values, labels = _clean(values, groups)
    return _interval(_Units.of(values, labels), len(values), confidence, resamples, method, seed)


def _check(confidence: float, resamples: int, method: str) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if resamples < 100:
        raise ValueError(f"resamples must be 100 or more for an interval, got {resamples}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")


def _interval(
    units: _Units, samples: int, confidence: float, resamples: int, method: str, seed: int
) -> Interval:
    if len(units) < 2:
        raise ValueError(f"{len(units)} samples (or groups) say nothing of how a mean varies")
    value = units.mean()
    means = units.resampled_means(resamples, seed)
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca" and means.min() < means.max():
        levels = _bca_levels(levels, value, means, units.left_one_out())
    low, high = np.quantile(means, levels)
    return Interval(value, float(low), float(high), confidence, method, samples, resamples)


def _bca_levels(
    levels: np.ndarray, value: float, means: np.ndarray, jackknife: np.ndarray
) -> np.ndarray:
    """Percentiles that correct for median bias and skewness (Efron 1987, equation 3.9)."""
    below = ((means < value).mean() + (means <= value).mean()) / 2
    bias = stats.norm.ppf(np.clip(below, 1 / (2 * len(means)), 1 - 1 / (2 * len(means))))
    spread = jackknife.mean() - jackknife
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    shifted = bias + stats.norm.ppf(levels)
    return stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))


def compare_paired(
    values: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray,
    *,
    higher_is_better: bool = False,
    groups: Sequence[Any] | np.ndarray | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    method: str = "bca",
    seed: int = 0,
) -> PairedComparison:
    """Compare two models on the same samples; see :func:`compare_to_reference` for several."""
    return compare_to_reference(
        {"reference": reference, "model": values},
        higher_is_better=higher_is_better,
        groups=groups,
        confidence=confidence,
        resamples=resamples,
        method=method,
        seed=seed,
    )["model"]


def compare_to_reference(
    values: Mapping[str, Sequence[float] | np.ndarray],
    reference: str | None = None,
    *,
    higher_is_better: bool = False,
    groups: Sequence[Any] | np.ndarray | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    method: str = "bca",
    seed: int = 0,
) -> dict[str, PairedComparison]:
    """Compare models with one of them, on the samples that both are measured on.

    The p-value of the bootstrap is the share of resamples of the differences, shifted to mean
    zero, whose mean is at least as far from zero as the observed one (with 1 added to both
    counts, so that it is never zero).

    Args:
        values: model -> (N,) per-sample values of one metric, the same samples in the same order.
        reference: the model that the others are compared with; the first if omitted.
        higher_is_better: False for errors.
        groups: (N,) labels of samples that are resampled together.
        confidence: of the intervals; 1 - confidence is the level of the verdicts.
        resamples: bootstrap resamples.
        method: of the intervals.
        seed: of the resampling; all models see the same resamples.

    Returns:
        model -> comparison, without the reference.

    Raises:
        ValueError: models have different numbers of samples, or nothing in common.
    """
    _check(confidence, resamples, method)
    if reference is None:
        reference = next(iter(values))
    if reference not in values:
        raise ValueError(f"no model is called {reference!r}; there are {', '.join(values)}")
    base = np.asarray(values[reference], dtype=np.float64)
    parts: dict[str, tuple[Interval, float, float, float | None]] = {}
    for name, own in values.items():
        if name == reference:
            continue
        own = np.asarray(own, dtype=np.float64)
        if own.shape != base.shape:
            raise ValueError(
                f"{name} has {own.shape} samples and {reference} {base.shape}: a paired comparison "
                "needs the same samples in the same order"
            )
        difference, labels = _clean(own - base, groups)
        units = _Units.of(difference, labels)
        interval = _interval(units, len(difference), confidence, resamples, method, seed)
        wins = difference > 0 if higher_is_better else difference < 0
        parts[name] = (
            interval,
            float(wins.mean()),
            _bootstrap_p(units, resamples, seed),
            None if groups is not None else _wilcoxon_p(difference),
        )
    adjusted = holm([part[2] for part in parts.values()])
    sign = 1 if higher_is_better else -1
    found = {}
    for (name, (interval, share, p, wilcoxon)), p_holm in zip(parts.items(), adjusted, strict=True):
        verdict = "not distinguishable"
        if p_holm <= 1 - confidence:
            verdict = "better" if sign * interval.value > 0 else "worse"
        found[name] = PairedComparison(interval, share, p, wilcoxon, float(p_holm), verdict)
    return found


def _bootstrap_p(units: _Units, resamples: int, seed: int) -> float:
    observed = units.mean()
    centred = _Units(units.sums - observed * units.counts, units.counts)
    means = centred.resampled_means(resamples, seed)
    # Rounding must not make equal means unequal, as for constant differences.
    slack = 1e-12 * max(1e-300, float(np.abs(units.sums).max()))
    extreme = int((np.abs(means) >= abs(observed) - slack).sum())
    return (extreme + 1) / (resamples + 1)


def _wilcoxon_p(difference: np.ndarray) -> float:
    if not np.any(difference):
        return 1.0  # the test is not defined without a single difference
    return float(stats.wilcoxon(difference, zero_method="pratt").pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down correction (Holm 1979): p-values that control the family-wise error.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
