"""``handzoo train`` and ``tools/train.py``."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="handzoo train", description="Train a model of the zoo, or of a config of your own."
    )
    parser.add_argument("config", help="config file or model name (see `handzoo list`)")
    parser.add_argument(
        "--dataset",
        metavar="D",
        help="other data than the config's: freihand, rhd, ..., or a config with a test set",
    )
    parser.add_argument("--work-dir", metavar="DIR", help="default: work_dirs/<model name>")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="FILE",
        help="go on from a checkpoint; without a file, from the newest in the work directory",
    )
    parser.add_argument(
        "--amp", action="store_true", help="mixed precision (bfloat16 on a CPU and new GPUs)"
    )
    parser.add_argument("--seed", type=int, help="of all randomness; default 0")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="shorten or lengthen the schedule, milestones too"
    )
    parser.add_argument(
        "--max-iters", type=int, metavar="N", help="stop after N iterations, then validate"
    )
    parser.add_argument(
        "--time-budget", type=float, metavar="MIN", help="stop after MIN minutes, then validate"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="per process")
    add_common_arguments(parser)
    parser.add_argument(
        "--launcher", choices=("none", "pytorch", "slurm"), default="none", help="distributed run"
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--dry-run", action="store_true", help="build everything, make one step, keep nothing"
    )
    return parser


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that training, testing and comparing share."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        metavar="KEY=VALUE",
        help="override values of the config, such as model.prior=None train_cfg.max_epochs=3",
    )
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE|PATH",
        help="use a plugin that is not installed; may be repeated",
    )
    parser.add_argument(
        "--require-real", action="store_true", help="refuse bundled stand-ins for data and weights"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 128 + signal number if a signal ended the training."""
    args = build_parser().parse_args(argv)
    from handzoo.engine.config import load_config
    from handzoo.engine.train import train

    if args.local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options, args.plugin, dataset=args.dataset)
    result = train(
        cfg,
        work_dir=args.work_dir,
        resume=args.resume,
        amp=args.amp,
        seed=args.seed,
        epochs=args.epochs,
        max_iters=args.max_iters,
        time_budget=args.time_budget,
        batch_size=args.batch_size,
        require_real=args.require_real,
        launcher=args.launcher,
        dry_run=args.dry_run,
    )
    if os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) != "0":
        return 0
    if args.dry_run:
        print("Dry run: everything was built, and one training step was made.")
        return 0
    where = f"epoch {result.epoch}, iteration {result.iteration}"
    if result.interrupted:
        print(
            f"Stopped by {result.stop_reason} after {where}. Go on with --resume; the state is in "
            f"{result.work_dir / 'interrupt.pth'}."
        )
        return 128 + signal.Signals[result.stop_reason].value
    print(f"Done ({result.stop_reason}) after {where}; results are in {result.work_dir}.")
    return 0
