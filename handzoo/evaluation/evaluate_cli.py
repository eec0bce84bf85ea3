"""Evaluate a submission file: the figures of tools/test.py, from pred.json or pred.zip alone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from handzoo.errors import DataError
from handzoo.evaluation.evaluate import HandSet, evaluate_hands
from handzoo.evaluation.protocol import Protocol
from handzoo.evaluation.results import EvaluationResult, file_sha256
from handzoo.evaluation.submission import (
    FREIHAND_EVALUATION_SIZE,
    Submission,
    read_points,
    read_submission,
)
from handzoo.resources import ASSETS, ResourceUse, collect_resources, record, resolve

DESCRIPTION = """Evaluate a submission in FreiHAND's format against the annotations in ROOT.

The aligned (PA-) and unaligned (CS-) figures are those of the official evaluation, in mm."""


def build_parser() -> argparse.ArgumentParser:
    """Arguments of tools/evaluate.py."""
    parser = argparse.ArgumentParser(
        prog="evaluate",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("predictions", type=Path, metavar="PRED", help="pred.json or pred.zip")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="ROOT",
        help="folder with {split}_{xyz,verts}.json; default: data/freihand or the sample",
    )
    parser.add_argument("--split", default="evaluation", help="default: %(default)s")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write metrics.json and per_sample.npz"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads; default: all cores")
    return parser


def evaluate_submission(
    submission: Submission,
    data_root: Path,
    split: str = "evaluation",
    *,
    workers: int | None = None,
    **more: object,
) -> EvaluationResult:
    """Compare a submission with the annotations of a folder in FreiHAND's layout.

    Args:
        submission: predictions.
        data_root: folder with ``{split}_xyz.json`` and, for the mesh, ``{split}_verts.json``.
        split: prefix of the files.
        workers: threads.
        **more: further fields of the result.

    Raises:
        DataError: annotations are missing, or the number of samples differs.
    """
    xyz_file, verts_file = data_root / f"{split}_xyz.json", data_root / f"{split}_verts.json"
    if not xyz_file.is_file():
        raise DataError(
            f"{xyz_file} is not there: nothing to compare with. The joints and meshes of "
            "FreiHAND's evaluation images are in FreiHAND_pub_v2_eval.zip."
        )
    joints = read_points(xyz_file)
    vertices = read_points(verts_file) if verts_file.is_file() else None
    if len(submission) != len(joints):
        raise DataError(
            f"the submission has {len(submission)} samples and {xyz_file.name} has {len(joints)}: "
            "a submission holds every sample of the split, in its order"
        )
    bundled = data_root.resolve() == (ASSETS / "sample").resolve()
    name = "bundled-sample" if bundled else "freihand-v2"
    if not bundled and split == "evaluation" and len(joints) != FREIHAND_EVALUATION_SIZE:
        name = f"freihand-layout-{len(joints)}"
    protocol = Protocol(dataset=name, split=split, joints_from="submission")
    scores = evaluate_hands(
        HandSet(joints, vertices),
        HandSet(submission.xyz, submission.verts),
        protocol,
        workers=workers,
    )
    return EvaluationResult.from_scores(
        scores, protocol, len(joints), sample_ids=list(range(len(joints))), **more
    )


def _data_root(given: Path | None) -> Path:
    """The folder of the annotations, recorded in the resource report."""
    if given is None or not given.is_dir() or any(given.glob("*_K.json")):
        return resolve("data/freihand", given).path
    # A folder with the two annotation files alone is enough here, though not a whole data set.
    use = ResourceUse("data/freihand", "real", str(given), "", "annotations only, no *_K.json")
    return record(use).path


def main(argv: Sequence[str] | None = None) -> int:
    """Run tools/evaluate.py. -> exit status.

    Raises:
        DataError: a file is missing or has another format; ``handzoo.cli`` prints it.
    """
    from rich.console import Console

    arguments = build_parser().parse_args(argv)
    console = Console()
    with collect_resources() as report:
        root = _data_root(arguments.data)
        started = time.perf_counter()
        submission = read_submission(arguments.predictions)
        digest = file_sha256(arguments.predictions)
        result = evaluate_submission(
            submission,
            root,
            arguments.split,
            workers=arguments.workers,
            model=arguments.predictions.name,
            resources=report.rows(),
            notes=[f"sha256 of {arguments.predictions.name}: {digest}"],
        )
        seconds = time.perf_counter() - started
    console.print(report.table())
    console.print(result.table())
    console.print(f"read and evaluated in {seconds:.1f} s")
    if arguments.out:
        console.print(f"written: {result.save(arguments.out)}")
    return 0
