"""Unpickling of hand-model files that can rebuild arrays and nothing else.

MANO and METRO publish Python pickles that hold numpy arrays, scipy sparse matrices and chumpy
objects. A pickle may name any function of the machine and have it called, so only the names
below are ever looked up; everything else is refused by name. Neither scipy nor chumpy is
needed: their objects become small records that :func:`to_array` turns into arrays.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from handzoo.errors import ResourceError


class PickledObject:
    """State of an object whose class is not imported (chumpy and scipy ones)."""

    def __init__(self, *args: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"object state is a {type(state).__name__}, not a dict")
        self.state = state


class ChumpyObject(PickledObject):
    """A chumpy node: a leaf with its value under ``x``, or an operation on other nodes."""


class SparseColumns(PickledObject):
    """A scipy csc matrix: column pointers."""


class SparseRows(PickledObject):
    """A scipy csr matrix: row pointers."""


def _reconstruct_array(subtype: type, shape: tuple[int, ...], typecode: Any) -> np.ndarray:
    """Stand in for numpy's array reconstruction; an array subclass is not accepted."""
    if subtype is not np.ndarray:
        raise pickle.UnpicklingError(f"array of type {subtype!r}")
    # numpy pickles an empty shell first and gives it shape, type and data by __setstate__.
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _array_scalar(dtype: np.dtype, data: Any = b"") -> Any:
    if isinstance(data, str):
        data = data.encode("latin1")
    return np.frombuffer(data, dtype=dtype)[0]


def _array_from_buffer(buffer: Any, dtype: np.dtype, shape: Any, order: str) -> np.ndarray:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stand in for ``_codecs.encode``, with which Python 3 writes bytes in old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text encoding {encoding!r}")
    return text.encode("latin1")


def _reconstruct_object(cls: type, base: type, state: Any) -> PickledObject:
    """Stand in for ``copyreg._reconstructor``, limited to the records of this file."""
    if not (isinstance(cls, type) and issubclass(cls, PickledObject)):
        raise pickle.UnpicklingError(f"reconstruction of {cls!r}")
    return cls()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _reconstruct_array
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _array_scalar
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _array_from_buffer
for _builtins in ("builtins", "__builtin__"):
    for _type in (object, set, frozenset, list, dict, tuple):
        _ALLOWED[_builtins, _type.__name__] = _type
for _copyreg in ("copyreg", "copy_reg"):
    _ALLOWED[_copyreg, "_reconstructor"] = _reconstruct_object
for _module in ("scipy.sparse.csc", "scipy.sparse._csc"):
    _ALLOWED[_module, "csc_matrix"] = SparseColumns
    _ALLOWED[_module, "csc_array"] = SparseColumns
for _module in ("scipy.sparse.csr", "scipy.sparse._csr"):
    _ALLOWED[_module, "csr_matrix"] = SparseRows
    _ALLOWED[_module, "csr_array"] = SparseRows


class _Refused(pickle.UnpicklingError):
    """A global outside the list above."""


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "chumpy" or module.startswith("chumpy."):
            # A class of its own for each name, so that to_array can tell the operations apart.
            return type(name, (ChumpyObject,), {})
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None


def restricted_load(file: BinaryIO, source: str | Path) -> Any:
    """Unpickle arrays, containers, scipy sparse and chumpy records; refuse everything else.

    Args:
        file: open binary file at the start of a pickle (Python 2 ones are read as latin1).
        source: name of the file for error messages.

    Raises:
        ResourceError: the pickle names a global that is not allowed, or is damaged.
    """
    try:
        return _RestrictedUnpickler(file, encoding="latin1").load()
    except _Refused as refused:
        raise ResourceError(
            f"{source}: refused to unpickle '{refused}'. Only numpy arrays, scipy sparse matrices "
            "and chumpy objects may be in a hand-model file, because a pickle can run code. "
            "Download the file again from its publisher."
        ) from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise ResourceError(
            f"{source}: not a readable pickle ({type(error).__name__}: {error}). "
            "Download the file again from its publisher."
        ) from error


def to_array(value: Any, source: str = "pickle") -> np.ndarray:
    """Value of an unpickled array, sparse matrix or chumpy node as a dense array.

    chumpy's ``Select`` is ``a.ravel()[idxs].reshape(preferred_shape)`` (chumpy/reordering.py);
    ``Reshape`` is ``a.reshape(newshape)``; a leaf ``Ch`` holds its value under ``x``.

    Raises:
        ResourceError: a chumpy operation other than these, or a damaged sparse matrix.
    """
    if isinstance(value, (SparseColumns, SparseRows)):
        return _densify(value, source)
    if not isinstance(value, ChumpyObject):
        return np.asarray(value)
    kind, state = type(value).__name__, value.state
    if kind == "Select" and {"a", "idxs"} <= state.keys():
        picked = to_array(state["a"], source).ravel()[to_array(state["idxs"], source)]
        shape = state.get("preferred_shape")
        return picked if shape is None else picked.reshape(tuple(int(n) for n in shape))
    if kind == "Reshape" and {"a", "newshape"} <= state.keys():
        return to_array(state["a"], source).reshape(state["newshape"])
    if "x" in state:
        return to_array(state["x"], source)
    raise ResourceError(
        f"{source}: cannot evaluate the chumpy object '{kind}'; known are Ch, Select and Reshape."
    )


def _densify(matrix: SparseColumns | SparseRows, source: str) -> np.ndarray:
    state = matrix.state
    try:
        shape = tuple(int(n) for n in (state["_shape"] if "_shape" in state else state["shape"]))
        data, indices, indptr = (np.asarray(state[k]) for k in ("data", "indices", "indptr"))
        major = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        row, column = (indices, major) if isinstance(matrix, SparseColumns) else (major, indices)
        dense = np.zeros(shape, dtype=np.result_type(data.dtype, np.float64))
        np.add.at(dense, (row, column), data)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ResourceError(f"{source}: damaged sparse matrix ({error}).") from error
    return dense


def load_object_npz(path: str | Path) -> dict[str, Any]:
    """Read an .npz whose members may be object arrays, without numpy's ``allow_pickle``.

    Args:
        path: an .npz file, such as METRO's ``mano_downsampling.npz``.

    Returns:
        member name -> plain array, or object array of the records of this file.

    Raises:
        ResourceError: the file is missing or damaged or holds something that is not allowed.
    """
    path = Path(path)
    members: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                members[entry.removesuffix(".npy")] = _read_npy(archive.read(entry), path)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise ResourceError(f"{path}: not a readable .npz file ({error}).") from error
    return members


def _read_npy(raw: bytes, source: Path) -> Any:
    stream = io.BytesIO(raw)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        _, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        _, _, dtype = np.lib.format.read_array_header_2_0(stream)
    if dtype.hasobject:
        return restricted_load(stream, source)
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
