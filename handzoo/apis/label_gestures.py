"""Label the gestures of a data set in FreiHAND's layout from its annotated 3D joints."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

import numpy as np

from handzoo.datasets import FreiHAND
from handzoo.datasets.freihand import SPLITS
from handzoo.datasets.gesture_labels import nearest_gestures, write_labels
from handzoo.errors import DataError
from handzoo.hands.gestures import GESTURES, gesture_templates


def main(argv: Sequence[str] | None = None) -> int:
    """Write ``gesture_labels.json`` beside the data.

    Raises:
        DataError: the split has no 3D joints.
    """
    parser = argparse.ArgumentParser(prog="handzoo label-gestures", description=__doc__)
    parser.add_argument("--data", help="data set in FreiHAND's layout; default: data/freihand")
    parser.add_argument("--split", nargs="+", choices=SPLITS, default=["training"])
    parser.add_argument(
        "--threshold",
        type=float,
        default=12.0,
        help="mean joint distance in mm after alignment above which a hand shows no gesture",
    )
    arguments = parser.parse_args(argv)
    templates = np.asarray(gesture_templates())
    for split in arguments.split:
        dataset = FreiHAND(arguments.data, split=split, versions=("gs",))
        joints = dataset.annotation("xyz")
        if joints is None:
            raise DataError(
                f"{dataset.data_root} has no {split}_xyz.json, and gestures are labelled from 3D "
                "joints. The evaluation part has them in the public evaluation archive only."
            )
        found, _ = nearest_gestures(joints, templates, arguments.threshold / 1000)
        names = [GESTURES[i] for i in found]
        labeller = f"nearest of 19 joint templates within {arguments.threshold:g} mm"
        path = write_labels(dataset.data_root, {split: names}, labeller)
        print(f"{split}: {len(names)} labels in {path}")
        for name, count in Counter(names).most_common():
            print(f"  {name:18} {count:6}  {count / len(names):6.1%}")
    return 0
