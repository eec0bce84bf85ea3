"""A whole comparison: every model, what only all together can tell, and the report."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handzoo.engine.config import load_config
from handzoo.errors import ConfigError, HandZooError
from handzoo.evaluation.files import atomic_path, write_json
from handzoo.evaluation.results import environment
from handzoo.zoo.compare.data import BenchmarkData, choose_data
from handzoo.zoo.compare.figures import Figures, compute_figures
from handzoo.zoo.compare.measure import measure_model
from handzoo.zoo.compare.outcome import ERROR_FILE, FAILED, ModelOutcome, published_figures
from handzoo.zoo.compare.screen import Screen
from handzoo.zoo.compare.settings import Settings
from handzoo.zoo.compare.shared import Shared, what_is_shared
from handzoo.zoo.compare.specs import ModelSpec
from handzoo.zoo.compare.training import settle_train_batch

if TYPE_CHECKING:
    from mmengine.config import Config

RESULTS_FILE, TABLE_FILE, REPORT_FILE = "results.json", "results.md", "report.html"
TIMING_FILE = "timing.json"
VERSION = 1


@dataclass
class Comparison:
    """All that a report is made of.

    Attributes:
        outcomes: one row a model, in the order in which they were named.
        settings: the conditions.
        data: what was evaluated on.
        shared: what the models can be compared on.
        figures: None if no model finished.
        timing: label -> latency and FPS.
        command: the command line, to do it again.
        environment: versions and machine.
        protocol: of the first model that finished.
    """

    outcomes: list[ModelOutcome]
    settings: Settings
    data: BenchmarkData
    shared: Shared = field(default_factory=Shared)
    figures: Figures | None = None
    timing: dict[str, dict[str, Any]] = field(default_factory=dict)
    command: str = ""
    environment: dict[str, Any] = field(default_factory=environment)
    protocol: dict[str, Any] = field(default_factory=dict)
    created: str = ""

    @property
    def finished(self) -> list[ModelOutcome]:
        """Models that have figures."""
        return [outcome for outcome in self.outcomes if outcome.ok]

    @property
    def failed(self) -> list[ModelOutcome]:
        """Models that have none."""
        return [outcome for outcome in self.outcomes if not outcome.ok]

    @property
    def resources(self) -> list[dict[str, str]]:
        """Rows of all models, each resource once."""
        rows = {row["name"]: row for o in self.outcomes for row in o.resources}
        return list(rows.values())

    @property
    def stand_ins(self) -> list[str]:
        """Resources that were not the real ones."""
        return [row["name"] for row in self.resources if row["status"] != "real"]

    def to_dict(self) -> dict[str, Any]:
        """The content of results.json."""
        return {
            "version": VERSION,
            "created": self.created,
            "command": self.command,
            "protocol": self.protocol,
            "data": {
                "name": self.data.name, "samples": self.data.size, "of": self.data.total,
                "sha256": self.data.fingerprint, "config": self.data.test,
            },
            "settings": self.settings.to_dict(),
            "environment": self.environment,
            "resources": self.resources,
            "stand_ins": self.stand_ins,
            "models": [{**o.to_dict(), "timing": self.timing.get(o.label)} for o in self.outcomes],
            "failed": [o.label for o in self.failed],
            "compared": self.shared.metrics,
            "not_compared": self.shared.left_out,
            "notes": [*self.shared.notes, *(self.figures.notes if self.figures else [])],
            "figures": self.figures.to_dict() if self.figures else None,
        }  # fmt: skip


def compare(
    specs: Sequence[ModelSpec], settings: Settings, command: str = "", screen: Screen | None = None
) -> Comparison:
    """Compare models and write results.json, results.md and report.html.

    Called again with the same arguments it goes on where it was interrupted and repeats no
    model that was finished.

    Args:
        specs: the models; the first that finishes is the reference of the paired tests.
        settings: see :class:`Settings`.
        command: written into the results.
        screen: where progress is shown.

    Returns:
        The comparison; ``failed`` lists the models that could not be measured.

    Raises:
        ConfigError: no model was named, or there is nothing to compare on.
        KeyboardInterrupt: passed on; what was finished is kept.
    """
    from handzoo.zoo.compare.markdown import write_markdown
    from handzoo.zoo.compare.report import write_report

    if not specs:
        raise ConfigError("nothing to compare: name at least one model or --preset.")
    screen = screen or Screen()
    configs, errors = _load_configs(specs, settings)
    usable = [spec for spec in specs if spec.label in configs]
    if not usable:
        raise next(iter(errors.values()))
    reference = configs[usable[0].label]
    data = choose_data(settings.dataset, reference, settings.limit)
    settings = settle_train_batch(settings, reference)
    outcomes = []
    screen.plan(len(specs))
    for spec in specs:
        screen.start_model(spec.label)
        cfg = configs.get(spec.label)
        outcome = (
            _failed(spec, errors[spec.label], settings)
            if cfg is None
            else _measure(spec, cfg, data, settings, screen)
        )
        outcomes.append(outcome)
        screen.finish_model(outcome.error)
    comparison = Comparison(outcomes, settings, data, command=command)
    comparison.created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    finished = comparison.finished
    if finished:
        comparison.protocol = finished[0].results[0].protocol
        comparison.shared = what_is_shared(finished)
        try:
            comparison.timing = _timing(comparison, specs, configs, screen)
        except Exception as error:  # the figures stand without the clock
            comparison.shared.notes.append(
                f"Latency was not measured: {type(error).__name__}: {error}."
            )
        for label, row in comparison.timing.items():
            if "deploy_error" in row:
                comparison.shared.notes.append(
                    f"{label} was not timed in deployed form: {row['deploy_error']}."
                )
        with screen.stage("intervals and tests") as progress:
            comparison.figures = compute_figures(finished, comparison.shared, settings, progress)
    write_json(settings.out / RESULTS_FILE, comparison.to_dict())
    write_markdown(settings.out / TABLE_FILE, comparison)
    with screen.stage("report") as progress:
        write_report(settings.out / REPORT_FILE, comparison, configs, progress)
    return comparison


def _load_configs(
    specs: Sequence[ModelSpec], settings: Settings
) -> tuple[dict[str, Config], dict[str, HandZooError]]:
    """Configs by label, and the errors of those that cannot be read."""
    configs: dict[str, Config] = {}
    errors: dict[str, HandZooError] = {}
    for spec in specs:
        try:
            configs[spec.label] = load_config(
                spec.config, list(settings.cfg_options) or None, settings.plugins
            )
        except HandZooError as error:
            errors[spec.label] = error
    return configs, errors


def _measure(
    spec: ModelSpec, cfg: Config, data: BenchmarkData, settings: Settings, screen: Screen
) -> ModelOutcome:
    try:
        with screen.stage(spec.label) as progress:
            return measure_model(spec, cfg, data, settings, progress)
    except Exception as error:  # one model's fault must not cost the others their comparison
        return _failed(spec, error, settings)


def _failed(spec: ModelSpec, error: Exception, settings: Settings) -> ModelOutcome:
    """The row of a model that failed; the traceback goes into a file."""
    trace = "".join(traceback.format_exception(error))
    folder = settings.out / "models" / "failed"
    name = hashlib.sha256(spec.label.encode()).hexdigest()[:10]
    path = folder / f"{spec.label.replace('/', '_')[:80]}-{name}-{ERROR_FILE}"
    with atomic_path(path) as part:
        part.write_text(trace, encoding="utf-8")
    text = " ".join(str(error).split()) or type(error).__name__
    expected = isinstance(error, HandZooError)
    return ModelOutcome(
        spec.label,
        model=spec.entry.name if spec.entry else spec.label,
        method=spec.entry.method if spec.entry else "",
        status=FAILED,
        error=text if expected else f"{type(error).__name__}: {text} (traceback: {path})",
        published=published_figures(spec.entry),
    )


def _timing(
    comparison: Comparison,
    specs: Sequence[ModelSpec],
    configs: dict[str, Config],
    screen: Screen,
) -> dict[str, dict[str, Any]]:
    """Latencies, measured in turns once and kept: another set of models is measured anew."""
    import torch

    from handzoo.engine.build import load_estimator
    from handzoo.resources import collect_resources
    from handzoo.zoo.compare.cost import time_in_turns

    settings, finished = comparison.settings, comparison.finished
    if not settings.rounds:
        return {}
    conditions = [
        [o.key for o in finished], settings.rounds, settings.device, settings.deploy,
        settings.latency_batch_size, torch.get_num_threads(), comparison.environment["processor"],
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(conditions).encode()).hexdigest()
    path = settings.out / TIMING_FILE
    labels = [o.label for o in finished]
    kept = json.loads(path.read_text()) if path.is_file() else {}
    if kept.get("key") == key:
        return dict(zip(labels, kept["rows"], strict=True))
    models = {}
    by_label = {spec.label: spec for spec in specs}
    with screen.stage("latency, in turns") as progress, collect_resources():
        for index, outcome in enumerate(finished):
            progress("loading", index, len(finished))
            torch.manual_seed(settings.seed)
            checkpoint = by_label[outcome.label].checkpoint
            if settings.budget is not None:
                checkpoint = outcome.folder / "train_0" / "last.pth"
            estimator, _ = load_estimator(configs[outcome.label], checkpoint, settings.device)
            models[outcome.label] = (estimator, outcome.identity["input_size"])
        progress(f"{settings.rounds} rounds", 0, 1)
        timing = time_in_turns(models, settings)
    write_json(path, {"key": key, "conditions": conditions, "rows": [timing[n] for n in labels]})
    return timing
