"""FreiHAND v2 (Zimmermann et al., ICCV 2019), and everything in its layout.

::

    training/rgb/%08d.jpg           4 versions of N unique samples: file = index + N * version
    training_{K,xyz,verts,mano,scale}.json      N entries each (32,560 in the published set)
    evaluation/rgb/%08d.jpg         one version
    evaluation_{K,scale}.json       3,960 entries
    evaluation_{xyz,verts,mano}.json    in the public evaluation archive

N is read from the annotation, so generated sets and excerpts work as well. Any of the files may
be missing, and ``<split>_uv.json`` (N x 21 x 2 pixels) may give 2D joints alone: what is not
annotated is flagged. FreiHAND has right hands only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handzoo.datasets.base import HandDataset, check_choice, project, require_images
from handzoo.datasets.cache import ArrayStore
from handzoo.datasets.gesture_labels import read_labels
from handzoo.errors import ConfigError, DataError
from handzoo.hands.conventions import NUM_JOINTS, NUM_VERTICES, SCALE_BONE
from handzoo.hands.gestures import GESTURES
from handzoo.registry import DATASETS
from handzoo.resources import ASSETS, ResourceUse

BUNDLED = "bundled"  # data_root of the bundled sample, as for hand models
VERSIONS: tuple[str, ...] = ("gs", "hom", "sample", "auto")
SPLITS: tuple[str, ...] = ("training", "evaluation")

# Shape of one item, and how it is stored. Vertices are 300 MB in float32, and their rounding at a
# distance of a metre is below 1e-4 mm.
_FIELDS: dict[str, tuple[tuple[int, ...], str]] = {
    "K": ((3, 3), "float64"),
    "xyz": ((NUM_JOINTS, 3), "float64"),
    "uv": ((NUM_JOINTS, 2), "float64"),
    "verts": ((NUM_VERTICES, 3), "float32"),
    "mano": ((1, 61), "float64"),
    "scale": ((), "float64"),
}


@DATASETS.register_module()
class FreiHAND(HandDataset):
    """FreiHAND v2, its excerpts, and generated sets in its layout.

    The first opening converts the JSON files into memory-mapped arrays (see
    :mod:`handzoo.datasets.cache`); later ones take milliseconds.

    Args:
        data_root: folder of the data set; ``bundled`` for HandZoo's sample, even where FreiHAND is.
        split: ``training`` or ``evaluation``.
        versions: background versions to use, of ``gs`` (green screen), ``hom``, ``sample`` and
            ``auto``; all four for training and ``gs`` for evaluation if omitted.
        indices: unique samples to use; all if omitted.
        holdout: ``dict(part='train' or 'val', fraction=0.1, seed=0)`` keeps one part of a random
            split of the unique samples, all versions of a sample on the same side.
        **base: arguments of :class:`~handzoo.datasets.base.HandDataset`.

    Raises:
        DataError: the layout, a file or FreiHAND v1 stands in the way.
    """

    resource = "data/freihand"
    METAINFO = {"dataset": "freihand"}

    def __init__(
        self,
        data_root: str | Path | None = None,
        split: str = "training",
        versions: Sequence[str] | None = None,
        indices: Sequence[int] | None = None,
        holdout: dict[str, Any] | None = None,
        **base: Any,
    ) -> None:
        self.split = check_choice("FreiHAND.split", split, SPLITS)
        if versions is None:
            versions = VERSIONS if split == "training" else VERSIONS[:1]
        for version in versions:
            check_choice("FreiHAND.versions", version, VERSIONS)
        self.versions = tuple(versions)
        self._chosen = indices
        self._holdout = holdout
        super().__init__(data_root, **base)

    def _resolve(self, data_root: str | Path | None) -> ResourceUse:
        return super()._resolve(ASSETS / "sample" if data_root == BUNDLED else data_root)

    def _load(self) -> None:
        root = self.data_root
        if "pub_v1" in root.resolve().name.lower():
            raise DataError(
                f"{root} is FreiHAND v1, whose annotation follows an older hand model. "
                "Download v2 (FreiHAND_pub_v2.zip) from its project page."
            )
        self.images = root / self.split / "rgb"
        require_images(self.images)
        self._fields: dict[str, ArrayStore] = {}
        for name, (_, dtype) in _FIELDS.items():
            path = root / f"{self.split}_{name}.json"
            if path.is_file():
                self._fields[name] = self.cache.json_array(path, dtype)
        self.num_unique = self._check_annotation()
        self._check_versions()
        self.indices = self._choose_indices()
        self._labels = read_labels(self.cache, root, self.split, self.num_unique)

    def _check_annotation(self) -> int:
        if not self._fields:
            raise DataError(
                f"{self.data_root} has none of {self.split}_{{{','.join(_FIELDS)}}}.json. "
                "Unpack FreiHAND's archives into one folder."
            )
        counts = {}
        for name, store in self._fields.items():
            count, *shape = store["data"].shape
            if tuple(shape) != _FIELDS[name][0]:
                raise DataError(
                    f"{self.split}_{name}.json holds items of shape {tuple(shape)}, not "
                    f"{_FIELDS[name][0]}: it is not FreiHAND v2's. Download it again."
                )
            counts[name] = count
        if len(set(counts.values())) > 1:
            raise DataError(
                f"the files {self.split}_*.json in {self.data_root} differ in length ({counts}): "
                "they are of different releases. Unpack one release into an empty folder."
            )
        self._check_release()
        return next(iter(counts.values()))

    def _check_release(self) -> None:
        # v1 followed another hand model, so its joints do not fit v2's scale, and vice versa.
        if not {"xyz", "scale"} <= self._fields.keys():
            return
        joints = self._fields["xyz"]["data"][:64]
        first, second = SCALE_BONE
        bone = np.linalg.norm(joints[:, first] - joints[:, second], axis=1)
        if np.abs(bone - self._fields["scale"]["data"][:64]).max() > 1e-4:
            raise DataError(
                f"{self.split}_scale.json and {self.split}_xyz.json in {self.data_root} do not "
                "agree: they are of different releases (v1 and v2). Unpack v2 into an empty folder."
            )

    def _check_versions(self) -> None:
        for version in self.versions:
            for index in (0, self.num_unique - 1):
                if not self.image_path(index, version).is_file():
                    raise DataError(
                        f"{self.image_path(index, version)} is missing: version {version!r} of "
                        f"the {self.num_unique} {self.split} samples is not (wholly) there. "
                        "Unpack the pictures again, or name the versions that exist in "
                        "versions=(...)."
                    )

    def _choose_indices(self) -> np.ndarray:
        indices = np.arange(self.num_unique)
        if self._holdout is not None:
            indices = holdout_indices(self.num_unique, **self._holdout)
        if self._chosen is not None:
            chosen = np.asarray(self._chosen)
            if chosen.size and not (chosen.min() >= 0 and chosen.max() < self.num_unique):
                raise ConfigError(
                    f"FreiHAND.indices: {chosen.min()} to {chosen.max()} is outside "
                    f"0..{self.num_unique - 1}."
                )
            indices = chosen[np.isin(chosen, indices)]
        return indices.astype(np.int32)

    def image_path(self, index: int, version: str = "gs") -> Path:
        """Picture of unique sample ``index`` in a background version."""
        number = index + self.num_unique * VERSIONS.index(version)
        return self.images / f"{number:08d}.jpg"

    def annotation(self, name: str) -> np.ndarray | None:
        """All items of ``K``, ``xyz``, ``uv``, ``verts``, ``mano`` or ``scale``, memory-mapped.

        None where the file is missing. The first axis is the unique sample.
        """
        self.full_init()
        store = self._fields.get(name)
        return None if store is None else store["data"]

    def _length(self) -> int:
        return len(self.indices) * len(self.versions)

    def _info(self, index: int) -> dict[str, Any]:
        v, position = divmod(index, len(self.indices))
        version, unique = self.versions[v], int(self.indices[position])
        path = self.image_path(unique, version)
        info: dict[str, Any] = {
            "img_path": str(path),
            "sample_id": int(path.stem),
            "version": version,
            **self._geometry(unique),
        }
        if self._labels is not None:
            self._describe(info, unique, VERSIONS.index(version))
        return info

    def _geometry(self, unique: int) -> dict[str, Any]:
        item = {name: np.array(store["data"][unique]) for name, store in self._fields.items()}
        info: dict[str, Any] = {}
        if "K" in item:
            info.update(K=item["K"], K_valid=True)
        if "uv" in item:
            info.update(joints2d=item["uv"], joints2d_valid=np.ones(NUM_JOINTS, dtype=bool))
        if "scale" in item:
            info["hand_scale"] = float(item["scale"])
        if "xyz" in item:
            joints = item["xyz"]
            info.update(
                joints3d=joints - joints[0],
                joints3d_valid=np.ones(NUM_JOINTS, dtype=bool),
                root=joints[0],
                root_valid=True,
            )
            if "K" in item:
                info["joints2d"] = project(joints, item["K"])
                info["joints2d_valid"] = np.ones(NUM_JOINTS, dtype=bool)
            if "verts" in item:
                vertices = item["verts"].astype(np.float64) - joints[0]
                info.update(vertices=vertices, vertices_valid=True)
        if "mano" in item:
            parameters = item["mano"][0]
            info.update(pose=parameters[:48], shape=parameters[48:58], mano_valid=True)
        return info

    def _describe(self, info: dict[str, Any], unique: int, version: int) -> None:
        gesture = int(self._labels["gesture"][unique])
        if gesture >= 0:
            info.update(gesture=gesture, gesture_name=GESTURES[gesture])
        if "color" in self._labels:
            colors = self._labels["color"][unique]
            if version < len(colors) and colors[version] >= 0:
                info["color"] = str(self._labels["color_names"][colors[version]])


def holdout_indices(
    count: int, part: str = "train", fraction: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Sorted indices of one side of a random split.

    Args:
        count: number of unique samples.
        part: ``train`` or ``val``.
        fraction: part of the samples that goes to ``val``, at least one sample.
        seed: of the split; the same for both sides.
    """
    check_choice("holdout.part", part, ("train", "val"))
    if not 0 < fraction < 1:
        raise ConfigError(f"holdout.fraction={fraction} must lie between 0 and 1.")
    order = np.random.default_rng(seed).permutation(count)
    cut = max(1, round(count * fraction))
    return np.sort(order[:cut] if part == "val" else order[cut:])
