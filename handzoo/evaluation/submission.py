"""FreiHAND's submission format: pred.json = [xyz_list, verts_list], and pred.zip around it.

``xyz_list`` is N x 21 x 3 and ``verts_list`` N x 778 x 3, metres, camera frame, in the order of
the evaluation images. The full set has N = 3,960, which is 9.5 million numbers in each file. They
are read without making a Python object of each: what is left of the text when all characters of
numbers are deleted must be exactly the brackets and commas of a regular array, and then the
numbers are parsed as one flat list.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handzoo.errors import DataError
from handzoo.evaluation.files import atomic_path

FREIHAND_EVALUATION_SIZE = 3960
# Coordinates are written to a tenth of a micrometre, and evaluated as written.
_DECIMALS = 7
_NUMBER_CHARACTERS = b"0123456789.eE+- \n\r\t"
_LEAF = b"[,,]"


@dataclass(frozen=True)
class Submission:
    """Predictions of N images, metres, camera frame.

    Attributes:
        xyz: (N, 21, 3).
        verts: (N, V, 3); V = 778 for MANO's topology.
    """

    xyz: np.ndarray
    verts: np.ndarray

    def __len__(self) -> int:
        return len(self.xyz)


def quantise(points: np.ndarray) -> np.ndarray:
    """Round metres as :func:`write_submission` writes them, so that file and memory give equal
    figures.
    """
    scale = 10.0**_DECIMALS
    return np.rint(np.asarray(points, dtype=np.float64) * scale) / scale


def read_points(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a JSON array of shape (N, P, 3), such as FreiHAND's evaluation_verts.json.

    Raises:
        DataError: the file is missing, is not JSON, or is not a regular array of numbers.
    """
    path = Path(path)
    raw = _read_bytes(path)
    shape = _regular_shape(raw.translate(None, _NUMBER_CHARACTERS))
    values = _flat_numbers(raw) if shape else None
    if shape and values is not None and values.size == shape[0] * shape[1] * 3:
        return values.reshape(*shape, 3)
    return _checked_array(_load_json(raw, path), str(path))


def read_submission(path: str | os.PathLike[str]) -> Submission:
    """Read pred.json, or the pred.json inside a zip.

    Raises:
        DataError: says what is wrong and what the format is.
    """
    path = Path(path)
    raw = _read_zip(path) if path.suffix.lower() == ".zip" else _read_bytes(path)
    skeleton = raw.translate(None, _NUMBER_CHARACTERS)
    halves = skeleton[1:-1].split(b"]]],[[[")
    if skeleton[:1] + skeleton[-1:] == b"[]" and len(halves) == 2:
        shapes = [_regular_shape(halves[0] + b"]]]"), _regular_shape(b"[[[" + halves[1])]
        values = _flat_numbers(raw) if all(shapes) else None
        if values is not None:
            sizes = [count * points * 3 for count, points in shapes]
            if values.size == sum(sizes):
                arrays = np.split(values, sizes[:1])
                xyz, verts = (a.reshape(*s, 3) for a, s in zip(arrays, shapes, strict=True))
                return _checked_submission(xyz, verts, path)
    data = _load_json(raw, path)
    if not isinstance(data, list) or len(data) != 2:
        found = f"a list of {len(data)}" if isinstance(data, list) else type(data).__name__
        raise DataError(
            f"{path}: a submission is a list of two, [xyz_list, verts_list], and this is {found}"
        )
    xyz = _checked_array(data[0], f"{path}: xyz_list")
    verts = _checked_array(data[1], f"{path}: verts_list")
    return _checked_submission(xyz, verts, path)


def write_submission(
    directory: str | os.PathLike[str], xyz: np.ndarray, verts: np.ndarray, *, zipped: bool = True
) -> Path:
    """Write pred.json and pred.zip atomically.

    Args:
        directory: where to.
        xyz: (N, 21, 3) metres, camera frame, evaluation order.
        verts: (N, V, 3).
        zipped: also write pred.zip, which is what the evaluation server takes.

    Returns:
        The path of pred.json.

    Raises:
        DataError: shapes or values that the server would refuse.
    """
    path = Path(directory) / "pred.json"
    checked = _checked_submission(np.asarray(xyz), np.asarray(verts), path)
    with atomic_path(path) as part:
        with open(part, "w") as file:
            file.write("[")
            _write_points(file, checked.xyz)
            file.write(", ")
            _write_points(file, checked.verts)
            file.write("]")
        if zipped:
            with (
                atomic_path(path.with_suffix(".zip")) as zip_part,
                zipfile.ZipFile(zip_part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            ):
                archive.write(part, "pred.json")
    return path


def _write_points(file, points: np.ndarray) -> None:
    hand = (
        "["
        + ", ".join([f"[%.{_DECIMALS}f, %.{_DECIMALS}f, %.{_DECIMALS}f]"] * points.shape[1])
        + "]"
    )
    file.write("[")
    for index, sample in enumerate(quantise(points)):
        file.write((", " if index else "") + hand % tuple(sample.ravel().tolist()))
    file.write("]")


def _checked_submission(xyz: np.ndarray, verts: np.ndarray, path: Path) -> Submission:
    for name, array in (("xyz", xyz), ("verts", verts)):
        if array.ndim != 3 or array.shape[-1] != 3:
            raise DataError(f"{path}: {name} must be (N, points, 3), got {array.shape}")
        if not np.isfinite(array).all():
            bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
            raise DataError(
                f"{path}: {name} of {len(bad)} samples are not finite, first sample {bad[0]}"
            )
    if len(xyz) != len(verts):
        raise DataError(f"{path}: {len(xyz)} samples have joints and {len(verts)} have vertices")
    if xyz.shape[1] != 21:
        raise DataError(f"{path}: a hand has 21 joints, and these have {xyz.shape[1]}")
    return Submission(xyz, verts)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _read_zip(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json")]
            wanted = [name for name in names if Path(name).name == "pred.json"] or names
            if len(wanted) != 1:
                raise DataError(
                    f"{path}: expected one pred.json inside (zip -j pred.zip pred.json), "
                    f"found {names}"
                )
            return archive.read(wanted[0])
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _regular_shape(skeleton: bytes) -> tuple[int, int] | None:
    """(N, P) if the skeleton is that of an (N, P, 3) array, else None."""
    leaves = skeleton.count(_LEAF)
    count = skeleton.count(b"]],[[") + 1
    if leaves == 0 or leaves % count:
        return None
    points = leaves // count
    hand = b"[" + b",".join([_LEAF] * points) + b"]"
    return (count, points) if skeleton == b"[" + b",".join([hand] * count) + b"]" else None


def _flat_numbers(raw: bytes) -> np.ndarray | None:
    """All numbers of the text in order, or None if one cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # text that it stops at
            return np.fromstring(raw.translate(None, b"[]").decode("ascii"), sep=",")
    except (ValueError, DeprecationWarning):
        return None


def _load_json(raw: bytes, path: Path) -> object:
    try:
        return json.loads(raw)
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def _checked_array(data: object, what: str) -> np.ndarray:
    """Make an (N, P, 3) array of nested lists, or say which sample breaks the pattern."""
    if not isinstance(data, list) or not data:
        raise DataError(f"{what}: expected a list of samples, each a list of [x, y, z] in metres")
    points = len(data[0]) if isinstance(data[0], list) else -1
    for index, sample in enumerate(data):
        if not isinstance(sample, list) or len(sample) != points or points < 1:
            size = f"{len(sample)} points" if isinstance(sample, list) else repr(sample)[:40]
            raise DataError(
                f"{what}: sample {index} has {size}, the first has {max(points, 0)} points"
            )
        for row in sample:
            if not isinstance(row, list) or len(row) != 3:
                raise DataError(f"{what}: sample {index} holds {row!r:.60} where [x, y, z] belongs")
    try:
        array = np.array(data, dtype=np.float64)  # null becomes NaN
    except (TypeError, ValueError) as error:
        raise DataError(f"{what}: something is not a number: {error}") from error
    bad = np.flatnonzero(~np.isfinite(array).all(axis=(1, 2)))
    if len(bad):
        raise DataError(f"{what}: sample {bad[0]} holds something that is not a number")
    return array
