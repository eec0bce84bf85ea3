"""The command line of ``handzoo compare``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handzoo.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from handzoo.zoo.compare.run import Comparison

DESCRIPTION = """Compare models on the same data, in one run, on one machine: accuracy with
confidence intervals and paired tests against the first model, size, memory and speed.
Writes results.json, results.md and report.html; a second call goes on where the first was
interrupted.

  handzoo compare cliphand_tiny_sample fastmetro_s_r50_freihand --budget 3
  handzoo compare cliphand_s24_freihand=my.pth metro_h64_freihand=metro.pth --device cuda
  handzoo compare --preset table5 --budget 10 --trials 3"""


def build_parser() -> argparse.ArgumentParser:
    """Arguments of tools/compare.py."""
    from handzoo.zoo.compare.presets import PRESETS

    parser = argparse.ArgumentParser(
        prog="handzoo compare",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models", nargs="*", metavar="NAME|CONFIG[=CHECKPOINT]", help="see `handzoo list`"
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="; ".join(f"{name}: {text}" for name, text in PRESETS.items()),
    )
    parser.add_argument("--out", type=Path, default=Path("work_dirs/compare"), metavar="DIR",
                        help="default: %(default)s")  # fmt: skip
    what = parser.add_argument_group("what is compared")
    what.add_argument(
        "--dataset", metavar="D", help="freihand, rhd, ..., or a config; default: the first model's"
    )
    what.add_argument("--limit", type=int, metavar="N", help="only N samples, evenly spread")
    what.add_argument(
        "--budget",
        metavar="EPOCHS",
        help="train every model first: so many epochs, or iterations (200it)",
    )
    what.add_argument(
        "--trials", type=int, default=1, metavar="N", help="trainings with different seeds (1)"
    )
    what.add_argument(
        "--train-batch-size", type=int, metavar="N", help="of the training; default: the configs'"
    )
    what.add_argument("--seed", type=int, default=0, help="default: 0")
    what.add_argument(
        "--allow-random", action="store_true", help="compare models without weights as well"
    )
    how = parser.add_argument_group("how it is measured")
    how.add_argument("--device", default="cpu", help="cpu, cuda, ...; default: %(default)s")
    how.add_argument("--batch-size", type=int, metavar="N", help="of the evaluation")
    how.add_argument(
        "--latency-batch", type=int, default=1, metavar="N", help="images a timed call (1)"
    )
    how.add_argument(
        "--rounds", type=int, default=20, metavar="N", help="timed calls a model (20); 0: none"
    )
    how.add_argument(
        "--train-steps", type=int, default=3, metavar="N", help="timed training steps (3); 0: none"
    )
    how.add_argument(
        "--deploy", action="store_true", help="also time each model after model.deploy()"
    )
    how.add_argument(
        "--resamples", type=int, default=10_000, metavar="N", help="of the bootstrap (10000)"
    )
    how.add_argument(
        "--samples", type=int, default=3, metavar="N", help="samples of each kind in the report (3)"
    )
    from handzoo.engine.train_cli import add_common_arguments

    add_common_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 all models were measured, 1 some failed (their rows say why), 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args(arguments)
    from handzoo.plugins import activate
    from handzoo.zoo.compare.presets import with_preset
    from handzoo.zoo.compare.settings import Budget, Settings
    from handzoo.zoo.compare.specs import parse_specs

    if args.plugin:
        activate(args.plugin)
    names = with_preset(args.preset, args.models)
    if not names:
        raise ConfigError("nothing to compare: name models (see `handzoo list`) or --preset.")
    settings = Settings(
        out=args.out,
        dataset=args.dataset,
        limit=args.limit,
        budget=Budget.parse(args.budget) if args.budget else None,
        trials=args.trials,
        train_batch_size=args.train_batch_size,
        batch_size=args.batch_size,
        latency_batch_size=args.latency_batch,
        rounds=args.rounds,
        train_steps=args.train_steps,
        device=args.device,
        deploy=args.deploy,
        seed=args.seed,
        resamples=args.resamples,
        allow_random=args.allow_random,
        require_real=args.require_real,
        samples=args.samples,
        cfg_options=tuple(args.cfg_options or ()),
        plugins=tuple(args.plugin),
    )
    needs_weights = settings.budget is None and not settings.allow_random
    specs = parse_specs(names, needs_weights=needs_weights)
    return _run(specs, settings, shlex.join(["handzoo", "compare", *arguments]))


def _run(specs, settings, command: str) -> int:
    import torch

    from handzoo.resources import resource_table
    from handzoo.zoo.compare.run import REPORT_FILE, RESULTS_FILE, TABLE_FILE, compare
    from handzoo.zoo.compare.screen import Screen

    if torch.device(settings.device).type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch sees no CUDA device here; use --device cpu.")
    screen = Screen()
    try:
        comparison = compare(specs, settings, command, screen)
    except KeyboardInterrupt:
        screen.console.print(
            "\nInterrupted. The same command goes on from here; finished models are not repeated."
        )
        return 130
    console = screen.console
    if comparison.resources:
        console.print(resource_table(comparison.resources))
    console.print(summary_table(comparison))
    for note in comparison.to_dict()["notes"]:
        console.print(f"Note: {note}", markup=False)
    files = ", ".join(str(settings.out / n) for n in (RESULTS_FILE, TABLE_FILE, REPORT_FILE))
    console.print(f"written: {files}", markup=False, soft_wrap=True)
    return 1 if comparison.failed else 0


def summary_table(comparison: Comparison) -> Table:
    """The main figure, the verdict and the speed of each model, for the terminal."""
    from rich.table import Table

    from handzoo.zoo.compare.markdown import accuracy_rows, cost_rows, main_metric

    title = f"{comparison.protocol.get('id', '')}, {comparison.data.size} samples"
    if comparison.stand_ins:
        title += f"\nNOT on the real resources: {', '.join(comparison.stand_ins)} are stand-ins"
    header, rows = accuracy_rows(comparison)
    main = main_metric(comparison)
    chosen = [index for index, name in enumerate(header) if main and name.startswith(f"{main}, ")]
    chosen += [index for index, name in enumerate(header) if name == "verdict"]
    costs = {row[0]: row for row in cost_rows(comparison)[1]}
    cost_header = cost_rows(comparison)[0]
    wanted = [cost_header.index(name) for name in ("params, M", "latency, ms")]
    table = Table(title=title, title_justify="left")
    table.add_column("model", overflow="fold")
    for index in chosen:
        table.add_column(header[index])
    for index in wanted:
        table.add_column(cost_header[index], justify="right")
    for row in rows:
        cost = costs.get(row[0])
        if cost is None:  # failed; its cause was printed when it happened
            table.add_row(row[0], "[red]failed[/]")
            continue
        cells = [*(row[index] for index in chosen), *(cost[index] for index in wanted)]
        table.add_row(row[0], *(cell.replace("[", r"\[") for cell in cells))
    return table
