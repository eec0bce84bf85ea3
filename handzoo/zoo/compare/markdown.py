"""results.md: the comparison as tables that a README or an issue takes as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from handzoo.evaluation.files import atomic_path
from handzoo.evaluation.protocol import metric_info
from handzoo.evaluation.results import sort_metrics

if TYPE_CHECKING:
    from handzoo.zoo.compare.outcome import ModelOutcome
    from handzoo.zoo.compare.run import Comparison

_HEADLINES = 5
_WEIGHTS = {"random": "**random**", "trained": "trained here", "published": "published"}


def headline_metrics(comparison: Comparison) -> list[str]:
    """The few compared metrics that a table begins with."""
    names = [n for n in sort_metrics(comparison.shared.metrics) if not metric_info(n).qualifier]
    return names[:_HEADLINES]


def main_metric(comparison: Comparison) -> str:
    """The error that verdicts, charts and samples go by; '' if nothing can be compared."""
    names = headline_metrics(comparison)
    errors = [name for name in names if metric_info(name).unit]
    return (errors or names or [""])[0]


def number(value: float | None, unit: str) -> str:
    """Two digits of a length, three of a share."""
    return "-" if value is None else f"{value:.{2 if unit else 3}f}"


def figure_text(cell: dict[str, Any] | None) -> str:
    """``'7.31 ± 0.12 [7.10, 7.52]'``: figure, standard deviation over trials, interval."""
    if cell is None:
        return "-"
    unit = cell["unit"]
    text = number(cell["value"], unit)
    if cell["sd"] is not None:
        text += f" ± {number(cell['sd'], unit)}"
    if cell["low"] is not None:
        text += f" [{number(cell['low'], unit)}, {number(cell['high'], unit)}]"
    return text


def weights_text(outcome: ModelOutcome) -> str:
    """Where a model's weights are from, in a word or two."""
    kind = outcome.weights.get("kind", "")
    if kind == "checkpoint":
        return Path(outcome.weights["file"]).name
    return _WEIGHTS.get(kind, kind)


def accuracy_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of the main table."""
    names, main = headline_metrics(comparison), main_metric(comparison)
    header = ["model", "weights", *(_heading(name) for name in names)]
    if main and len(comparison.finished) > 1:
        header += [f"{main} against the first", "verdict"]
    rows = []
    for outcome in comparison.outcomes:
        row = [outcome.label, weights_text(outcome)]
        if not outcome.ok:
            rows.append([outcome.label, f"failed: {outcome.error}"] + [""] * (len(header) - 2))
            continue
        values = comparison.figures.values
        row += [figure_text(values[name].get(outcome.label)) for name in names]
        if main and len(comparison.finished) > 1:
            row += list(_against(comparison, main, outcome.label))
        rows.append(row)
    return header, rows


def _against(comparison: Comparison, metric: str, label: str) -> tuple[str, str]:
    if label == comparison.figures.reference:
        return "reference", ""
    found = comparison.figures.comparisons.get(metric, {}).get(label)
    if found is None:
        return "-", "not compared"
    difference, unit = found["difference"], metric_info(metric).unit
    digits = 2 if unit else 3
    text = (
        f"{difference['value']:+.{digits}f} "
        f"[{difference['low']:+.{digits}f}, {difference['high']:+.{digits}f}]"
    )
    return text, f"{found['verdict']} (p = {found['p_holm']:.2g})"


def _heading(name: str) -> str:
    info = metric_info(name)
    unit = f", {info.unit}" if info.unit else ""
    return f"{name}{unit} {'↑' if info.higher_is_better else '↓'}"


def cost_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Heading and rows of what the models cost."""
    columns = [
        ("params, M", "params_m", 2), ("MACs, G", "macs_g", 2),
        ("peak memory, MiB", "peak_memory_mb", 1), ("latency, ms", "latency_ms", 1),
        ("FPS", "fps", 1), ("training, ms an image", "train_ms_per_image", 1),
    ]  # fmt: skip
    deployed = any(row.get("deployed") for row in comparison.timing.values())
    if deployed:
        columns.insert(5, ("deployed, ms", "deployed_ms", 1))
    rows = []
    for outcome in comparison.finished:
        timing = comparison.timing.get(outcome.label) or {}
        known = {**outcome.cost, **timing}
        known["deployed_ms"] = (timing.get("deployed") or {}).get("latency_ms")
        cells = [known.get(key) for _, key, _ in columns]
        texts = [
            "-" if value is None else f"{value:.{digits}f}"
            for value, (_, _, digits) in zip(cells, columns, strict=True)
        ]
        rows.append([outcome.label, *texts])
    return ["model", *(name for name, _, _ in columns)], rows


def published_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """What the authors report beside what was measured here; empty if nothing is published."""
    names = list(dict.fromkeys(n for o in comparison.outcomes for n in o.published))
    header = ["model"]
    for name in names:
        header += [f"{name} published", f"{name} here"]
    rows = []
    for outcome in comparison.outcomes:
        if not outcome.published:
            continue
        row = [outcome.label]
        for name in names:
            value = outcome.published.get(name)
            values = comparison.figures.values if comparison.figures else {}
            cell = values.get(name, {}).get(outcome.label)
            row.append("-" if value is None else f"{value:g}")
            row.append("-" if cell is None else number(cell["value"], cell["unit"]))
        rows.append(row)
    return header, rows


def table(header: list[str], rows: list[list[str]], numbers: bool = True) -> list[str]:
    """Lines of a Markdown table; ``numbers`` stand to the right."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    side = " ---: " if numbers else " --- "
    rule = "|" + "|".join([" --- ", *(side for _ in header[1:])]) + "|"
    return [line(header), rule, *(line(row) for row in rows)]


def markdown(comparison: Comparison) -> str:
    """The whole of results.md."""
    protocol = comparison.protocol.get("id", "no model finished")
    lines = ["# Comparison", "", f"Protocol `{protocol}`, {comparison.data.size} samples."]
    for warning in warnings(comparison):
        lines += ["", f"> **{warning}**"]
    lines += ["", "## Accuracy", "", *table(*accuracy_rows(comparison)), "", _how(comparison)]
    lines += ["", "## Cost", "", *table(*cost_rows(comparison)), "", _how_timed(comparison)]
    header, rows = published_rows(comparison)
    if rows:
        lines += ["", "## As published", "", *table(header, rows), ""]
        lines += ["Published figures are the authors', on the real data; they are no result of "
                  "this run."]  # fmt: skip
    notes = comparison.to_dict()["notes"]
    notes += [f"{o.label}: {note}" for o in comparison.outcomes for note in o.notes]
    if notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in notes)]
    if comparison.shared.left_out:
        lines += ["", "Not compared:", ""]
        lines += [f"- {name}: {why}" for name, why in comparison.shared.left_out.items()]
    lines += ["", "## Resources", ""]
    rows = [[r["name"], f"**{r['status']}**" if r["status"] != "real" else "real",
             r.get("note", ""), r["how"]] for r in comparison.resources]  # fmt: skip
    header = ["resource", "status", "what", "how to get the real one"]
    lines += table(header, rows, numbers=False)
    env = comparison.environment
    versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items())
    accelerators = ", ".join(env["accelerators"]) or "no accelerator"
    lines += ["", "## Machine", ""]
    lines += [f"{env['processor']}, {env['cpu_count']} cores, {env['torch_threads']} threads; "
              f"{accelerators}; {env['platform']}.", "", f"{versions}."]  # fmt: skip
    plugins = {p["name"]: p["version"] for o in comparison.outcomes for p in o.plugins}
    if plugins:
        lines += ["", "Plugins: " + ", ".join(f"{n} {v}" for n, v in plugins.items()) + "."]
    lines += ["", f"`{comparison.command}`", ""]
    return "\n".join(lines)


def warnings(comparison: Comparison) -> list[str]:
    """What nobody must overlook."""
    found = []
    if comparison.stand_ins:
        found.append(
            f"Not on the real resources: {', '.join(comparison.stand_ins)} are stand-ins. These "
            "figures say nothing about the published data sets."
        )
    random = [o.label for o in comparison.finished if o.weights.get("kind") == "random"]
    if random:
        found.append(f"Random weights: {', '.join(random)}. Their accuracy means nothing.")
    if comparison.data.size < comparison.data.total:
        found.append(
            f"An excerpt: {comparison.data.size} of {comparison.data.total} samples (--limit)."
        )
    if comparison.failed:
        found.append(f"Failed: {', '.join(o.label for o in comparison.failed)}.")
    return found


def _how(comparison: Comparison) -> str:
    settings = comparison.settings
    trials = settings.trials
    text = (
        f"Brackets: {settings.confidence:.0%} bootstrap intervals over test samples. Verdicts: "
        "paired bootstrap against the first model, Holm-corrected over the models."
    )
    if trials > 1:
        text += f" ±: standard deviation over {trials} trainings."
    if settings.budget:
        text += f" Every model was trained for {settings.budget}"
        text += f" at batch size {settings.train_batch_size}." if settings.train_batch_size else "."
    return text


def _how_timed(comparison: Comparison) -> str:
    settings = comparison.settings
    return (
        f"Latency: median of {settings.rounds} calls at batch size "
        f"{settings.latency_batch_size} on {settings.device}, all models in turns. Memory: peak "
        "of activations in a call. Training: a whole step on one batch, without loading."
    )


def write_markdown(path: Path, comparison: Comparison) -> None:
    """Write results.md atomically."""
    with atomic_path(path) as part:
        part.write_text(markdown(comparison), encoding="utf-8")
