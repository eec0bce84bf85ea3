"""``handzoo test`` and ``tools/test.py``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from handzoo.engine.train_cli import add_common_arguments
from handzoo.errors import ConfigError


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="handzoo test", description="Evaluate a checkpoint on the test set of its config."
    )
    parser.add_argument("config", help="config file or model name (see `handzoo list`)")
    parser.add_argument(
        "checkpoint",
        nargs="?",
        help="weights: .pth or .safetensors; default: the published ones, if any",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="metrics.json, pred.json, pred.zip; default: work_dirs/.../test",
    )
    parser.add_argument(
        "--dataset",
        metavar="D",
        help="other data than the config's: freihand, rhd, ..., or a config with a test set",
    )
    parser.add_argument("--device", help="such as cpu or cuda; default: what there is")
    parser.add_argument(
        "--deploy", action="store_true", help="evaluate the deployed form of the model"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="per process")
    parser.add_argument("--show-dir", metavar="DIR", help="pictures of predictions")
    parser.add_argument("--show-samples", type=int, default=32, metavar="N", help="how many (32)")
    add_common_arguments(parser)
    parser.add_argument(
        "--launcher", choices=("none", "pytorch", "slurm"), default="none", help="distributed run"
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and print the resource table and the figures."""
    args = build_parser().parse_args(argv)
    from rich.console import Console

    from handzoo.engine.config import load_config
    from handzoo.engine.test import test
    from handzoo.resources import resource_table
    from handzoo.zoo.weights import published_weights

    if args.local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options, args.plugin, dataset=args.dataset)
    checkpoint = args.checkpoint or published_weights(args.config)
    if checkpoint is None:
        raise ConfigError(
            f"there are no published weights of {args.config}: name a checkpoint, such as "
            "work_dirs/.../best.pth, behind the config."
        )
    results = test(
        cfg,
        checkpoint,
        out=args.out,
        device=args.device,
        batch_size=args.batch_size,
        require_real=args.require_real,
        show_dir=args.show_dir,
        show_samples=args.show_samples,
        launcher=args.launcher,
        deploy=args.deploy,
    )
    console = Console()
    if not results:
        print("The metrics of this config keep no result; metrics.json has their figures.")
    for result in results:
        if result.resources:
            console.print(resource_table(result.resources))
        console.print(result.table())
        for note in result.notes:
            console.print(f"Note: {note}.", highlight=False, markup=False)
    return 0
