"""``handzoo infer``: hands in images, folders and videos."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="handzoo infer",
        description="Predict hands in images, folders and videos: overlay, side view, skeleton, "
        "OBJ and GLB of each mesh, predictions.json.",
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="image, folder or video")
    parser.add_argument("--model", required=True, help="model name or config file")
    parser.add_argument("--checkpoint", help="weights; default: the published ones, if any")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--boxes",
        metavar="FILE",
        help='JSON from file name to boxes: [x0, y0, x1, y1] or {"box": [...], "hand": "left"}, '
        "or a list of these; without, one hand in the middle of each picture",
    )
    parser.add_argument(
        "--hand", choices=("right", "left"), default="right", help="where the boxes do not say"
    )
    parser.add_argument("--box-factor", type=float, default=1.5, help="enlargement of boxes")
    parser.add_argument(
        "--center-fraction",
        type=float,
        help="part of the shorter side that is cut out where there is no box "
        "(default: 0.80, as FreiHAND's crop)",
    )
    parser.add_argument("--focal", type=float, help="focal length of the pictures, in pixels")
    parser.add_argument(
        "--filter",
        metavar="FILTER",
        help="refine the hands of videos by earlier frames: a name such as temporal/OneEuro, or "
        "\"dict(type='temporal/OneEuro', beta=20.0)\"; none: not even the config's own",
    )
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="SOURCE",
        help="use a plugin that is not installed; may be repeated",
    )
    parser.add_argument("--device", help="such as cpu or cuda:0")
    parser.add_argument(
        "--deploy", action="store_true", help="run the deployed form of the model, which is faster"
    )
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument(
        "--require-real", action="store_true", help="refuse stand-ins for missing resources"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0; 1 if not one picture could be read.

    Raises:
        HandZooError: an input, box file, model or checkpoint is wrong; says what.
    """
    arguments = build_parser().parse_args(argv)

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from handzoo.apis.boxes import CENTER_FRACTION, read_boxes
    from handzoo.apis.inferencer import HandInferencer
    from handzoo.apis.inputs import count, list_inputs
    from handzoo.apis.writer import ResultWriter
    from handzoo.plugins import activate
    from handzoo.resources import collect_resources

    # What the user named is checked before the model is loaded.
    inputs = list_inputs(arguments.inputs)
    boxes = read_boxes(arguments.boxes, arguments.hand) if arguments.boxes else None
    activate(arguments.plugin)
    console = Console()
    with collect_resources(require_real=arguments.require_real) as report:
        inferencer = HandInferencer(
            arguments.model,
            arguments.checkpoint,
            arguments.device,
            batch_size=arguments.batch_size,
            box_factor=arguments.box_factor,
            center_fraction=arguments.center_fraction or CENTER_FRACTION,
            filter=arguments.filter,
            deploy=arguments.deploy,
        )
    console.print(report.table())
    columns = ("hands", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    writer = ResultWriter(arguments.out, inferencer.info)
    with writer, Progress(*columns, console=console) as progress:
        task = progress.add_task("hands", total=count(inputs))
        for result in inferencer.stream(inputs, boxes, arguments.hand, arguments.focal):
            writer.add(result)
            progress.advance(task)
    hands = sum(len(row["hands"]) for row in writer.rows)
    console.print(f"{hands} hands in {writer.written} pictures: {writer.predictions}")
    for error in writer.failed:
        console.print(f"[yellow]skipped[/] {error}", highlight=False)
    return 0 if writer.written else 1
