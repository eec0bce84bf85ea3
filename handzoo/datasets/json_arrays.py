"""Streaming of large JSON arrays of numbers into .npy files.

FreiHAND's ``training_verts.json`` is 1.6 GB of text. Python's parser would turn it into 76 million
float objects, about 8 GB; this one reads it in blocks and writes each block's numbers out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from handzoo.errors import DataError

_BLOCK_BYTES = 8 << 20
_HEADER_BYTES = 128
_NOT_NUMBERS = b"[] \t\r\n"


def json_to_npy(
    source: Path,
    target: Path,
    dtype: str = "float64",
    progress: Callable[[int], None] | None = None,
) -> tuple[int, ...]:
    """Convert a JSON list of equally shaped (nested lists of) numbers to a .npy file.

    Args:
        source: JSON file, for example 32,560 x 778 x 3 numbers.
        target: .npy file to write.
        dtype: numpy type to store.
        progress: called with the number of bytes read since the last call.

    Returns:
        Shape of the array; its first axis is the outer list.

    Raises:
        DataError: the file is truncated, ragged, or holds something other than numbers.
    """
    item_shape = _shape_of_first_item(source)
    # Lists in one item: 21 x 3 is one list of 21 lists.
    lists_per_item = sum(int(np.prod(item_shape[:axis])) for axis in range(len(item_shape)))
    numbers_per_item = int(np.prod(item_shape))
    opened = closed = numbers = 0
    last = b""
    carry = b""
    with open(source, "rb") as reader, open(target, "wb") as writer:
        writer.write(bytes(_HEADER_BYTES))
        while block := reader.read(_BLOCK_BYTES):
            opened += block.count(b"[")
            closed += block.count(b"]")
            last = block.rstrip()[-1:] or last
            text = carry + block.translate(None, _NOT_NUMBERS)
            cut = text.rfind(b",") + 1
            carry = text[cut:]
            numbers += _write_numbers(text[: max(cut - 1, 0)], writer, dtype, source)
            if progress is not None:
                progress(len(block))
        numbers += _write_numbers(carry, writer, dtype, source)
        count, rest = divmod(numbers, numbers_per_item)
        whole = rest == 0 and opened == closed == 1 + count * lists_per_item and last == b"]"
        if not whole:
            raise _damaged(
                source,
                f"{numbers} numbers in {opened} lists do not make items of shape {item_shape}; "
                "it is truncated or ragged",
            )
        shape = (count, *item_shape)
        writer.seek(0)
        writer.write(_npy_header(shape, dtype))
    return shape


def _shape_of_first_item(source: Path) -> tuple[int, ...]:
    with open(source, "rb") as reader:
        head = reader.read(1 << 20).decode("utf-8", "replace").lstrip()
    if not head.startswith("["):
        raise _damaged(source, "it does not start with a list")
    try:
        first, _ = json.JSONDecoder().raw_decode(head[1:].lstrip())
        array = np.asarray(first, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise _damaged(source, f"its first item is not made of numbers ({error})") from error
    if array.size == 0:
        raise _damaged(source, "its first item is empty")
    return array.shape


def _write_numbers(text: bytes, writer, dtype: str, source: Path) -> int:
    if not text:
        return 0
    expected = text.count(b",") + 1
    # Python's JSON writes NaN and Infinity, which C's number reader knows too; words such as
    # null end the reading early and are found by the count.
    values = _parse(text)
    if values.size != expected:
        raise _damaged(source, f"something that is not a number follows {values.size} numbers")
    values.astype(dtype).tofile(writer)
    return expected


def _parse(text: bytes) -> np.ndarray:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # on damage; counted by the caller
        try:
            return np.fromstring(text, dtype=np.float64, sep=",")
        except ValueError:
            return np.empty(0)


def _npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    described = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    room = _HEADER_BYTES - 10  # magic (6), version (2) and length (2) come first
    text = repr(described).encode("latin1").ljust(room - 1) + b"\n"
    if len(text) != room:
        raise ValueError(f"an array of shape {shape} does not fit a {_HEADER_BYTES}-byte header")
    return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + text


def _damaged(source: Path, what: str) -> DataError:
    return DataError(
        f"{source} is not a readable annotation file: {what}. "
        "Compare its size with the published one and unpack or download it again."
    )
