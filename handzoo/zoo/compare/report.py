"""report.html: one file with everything in it, which opens from the disk without a network."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handzoo.evaluation.files import atomic_path, plain
from handzoo.evaluation.protocol import metric_info
from handzoo.evaluation.results import sort_metrics
from handzoo.hands.conventions import JOINT_NAMES
from handzoo.zoo.compare.gallery import build_gallery
from handzoo.zoo.compare.markdown import headline_metrics, main_metric, warnings, weights_text

if TYPE_CHECKING:
    from mmengine.config import Config

    from handzoo.zoo.compare.outcome import ModelOutcome
    from handzoo.zoo.compare.run import Comparison

logger = logging.getLogger("handzoo")
ASSETS = Path(__file__).parent / "assets"
_TEMPLATE = "report.html.tmpl"
_SCRIPTS = ("tables.js", "charts.js", "gallery.js", "hands.js", "report.js")
# Told apart on white and by the colour-blind (after Okabe and Ito), the first for the reference.
COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a5195", "#6b7280",
    "#a3333d", "#2f6f4f", "#e69f00", "#374151",
)  # fmt: skip


def write_report(
    path: Path,
    comparison: Comparison,
    configs: dict[str, Config],
    progress: Callable[[str, int, int], None],
) -> None:
    """Write the page atomically.

    Args:
        path: of report.html.
        comparison: the results.
        configs: of the models, by label, to draw samples.
        progress: told how far it is.
    """
    metric = main_metric(comparison)
    try:
        gallery = build_gallery(comparison, configs, metric, progress)
    except Exception as error:  # pictures are the last thing to lose a comparison for
        logger.warning("the report has no samples: %s: %s", type(error).__name__, error)
        gallery = {"samples": [], "faces": {}, "hands": {}, "unit_mm": 1.0}
    data = report_data(comparison) | {"gallery": gallery}
    with atomic_path(path) as part:
        part.write_text(render(data), encoding="utf-8")


def render(data: dict[str, Any]) -> str:
    """The page of some data."""
    page = (ASSETS / _TEMPLATE).read_text(encoding="utf-8")
    # No "<" in the data, so that nothing in it can end the element that holds it.
    text = json.dumps(plain(data), allow_nan=False).replace("<", "\\u003c")
    scripts = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    style = (ASSETS / "report.css").read_text(encoding="utf-8")
    # The data come last: nothing that they hold is taken for a place of the template.
    for place, content in (("STYLE", style), ("SCRIPTS", scripts), ("DATA", text)):
        page = page.replace(f"@@{place}@@", content)
    return page


def report_data(comparison: Comparison) -> dict[str, Any]:
    """All that the page shows but the samples, as plain values."""
    figures = comparison.figures
    names = sort_metrics(figures.values) if figures else []
    return {
        **comparison.to_dict(),
        "warnings": warnings(comparison),
        "main_metric": main_metric(comparison),
        "headlines": headline_metrics(comparison),
        "metric_info": {name: _metric(name, comparison) for name in names},
        "rows": [
            _row(outcome, index, comparison) for index, outcome in enumerate(comparison.outcomes)
        ],
        "curves": _curves(comparison),
        "joint_names": list(JOINT_NAMES),
    }


def _metric(name: str, comparison: Comparison) -> dict[str, Any]:
    info = metric_info(name)
    return {
        "unit": info.unit,
        "higher": info.higher_is_better,
        "description": info.description,
        "compared": name in comparison.shared.metrics,
        "reason": comparison.shared.left_out.get(name, ""),
        "id": comparison.protocol.get("metrics", {}).get(name, ""),
    }


def _row(outcome: ModelOutcome, index: int, comparison: Comparison) -> dict[str, Any]:
    """One model as the page's tables need it."""
    results = outcome.results
    return {
        "label": outcome.label,
        "model": outcome.model,
        "method": outcome.method,
        "color": COLORS[index % len(COLORS)],
        "ok": outcome.ok,
        "error": outcome.error,
        "weights": weights_text(outcome).replace("**", ""),
        "random": outcome.weights.get("kind") == "random",
        "sha256": [r.checkpoint.get("sha256", "") for r in results],
        "protocol": results[0].protocol["id"] if results else "",
        "identity": outcome.identity,
        "cost": outcome.cost,
        "timing": comparison.timing.get(outcome.label),
        "published": outcome.published,
        "plugins": outcome.plugins,
        "notes": outcome.notes,
        "training": outcome.training,
        "reference": bool(comparison.figures and comparison.figures.reference == outcome.label),
    }


def _curves(comparison: Comparison) -> dict[str, Any]:
    """PCK curves of the areas that may be compared."""
    if comparison.figures is None:
        return {}
    return {
        name: rows
        for name, rows in comparison.figures.curves.items()
        if rows and name in comparison.shared.metrics
    }
