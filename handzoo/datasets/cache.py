"""Annotations converted once into memory-mapped arrays that all workers and ranks share.

An entry is a folder of .npy files. It is made in a temporary folder and renamed, under a file
lock, so that whoever finds it finds it whole, and a second process waits instead of converting
again. Its name carries a digest of the source files' sizes and times: a changed source makes a
new entry. Entries lie beside the data where that can be written, otherwise in the user's cache
(``$HANDZOO_CACHE``, else ``~/.cache/handzoo``).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock
from mmengine.logging import print_log

import handzoo
from handzoo.datasets.json_arrays import json_to_npy
from handzoo.errors import DataError
from handzoo.resources import cache_root

FORMAT_VERSION = 1
FOLDER = ".handzoo_cache"
_SHOW_PROGRESS_FROM = 32 << 20


class ArrayStore:
    """Arrays of one cache entry, mapped into memory at first use.

    Pickling (a DataLoader that spawns its workers) carries the path alone, never the arrays.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._arrays: dict[str, np.ndarray] | None = None

    def _open(self) -> dict[str, np.ndarray]:
        if self._arrays is None:
            self._arrays = {
                path.stem: np.load(path, mmap_mode="r") for path in self.folder.glob("*.npy")
            }
        return self._arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self._open()[name]

    def __contains__(self, name: str) -> bool:
        return name in self._open()

    def __getstate__(self) -> dict:
        return {"folder": self.folder, "_arrays": None}


class AnnotationCache:
    """Cache entries of one data root.

    Args:
        root: folder of the data set; entries lie in ``root/.handzoo_cache`` where possible.
        cache_dir: folder to use instead.
    """

    def __init__(self, root: str | Path, cache_dir: str | Path | None = None) -> None:
        self.root = Path(root).resolve()
        self.folder = Path(cache_dir) if cache_dir is not None else self._choose_folder()

    def _choose_folder(self) -> Path:
        package = Path(handzoo.__file__).resolve().parent
        if package not in self.root.parents and os.access(self.root, os.W_OK):
            return self.root / FOLDER
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        return cache_root() / "annotations" / f"{self.root.name}-{digest}"

    def get(
        self,
        name: str,
        sources: Sequence[Path],
        convert: Callable[[Path], None],
        options: str = "",
    ) -> ArrayStore:
        """Return the entry for ``sources``, converting them if there is none yet.

        Args:
            name: what the entry holds; part of its folder's name.
            sources: files that it is made of.
            convert: called with an empty folder, into which it writes .npy files.
            options: anything else that the content depends on.

        Raises:
            DataError: a source cannot be read.
        """
        entry = self.folder / f"{name}-{self._digest(sources, options)}"
        if entry.is_dir():
            return ArrayStore(entry)
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"{name}.lock"):
            if not entry.is_dir():  # another process may have made it while this one waited
                self._make(entry, convert)
                self._remove_outdated(name, entry)
        return ArrayStore(entry)

    def _make(self, entry: Path, convert: Callable[[Path], None]) -> None:
        making = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=self.folder))
        try:
            convert(making)
            os.chmod(making, 0o755)  # mkdtemp's is private; another user's rank reads it as well
            os.rename(making, entry)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _remove_outdated(self, name: str, entry: Path) -> None:
        # Processes that still map an outdated entry keep its pages until they end.
        for other in self.folder.glob(f"{name}-*"):
            same_name = other.name.rpartition("-")[0] == name
            if same_name and other != entry and other.is_dir():
                shutil.rmtree(other, ignore_errors=True)

    def _digest(self, sources: Sequence[Path], options: str) -> str:
        parts = [str(FORMAT_VERSION), options]
        for source in sources:
            try:
                stat = Path(source).stat()
            except OSError as error:
                raise DataError(
                    f"{source} cannot be read: {error.strerror}. Check the data set's folder "
                    f"{self.root} against docs/data_preparation.md."
                ) from error
            parts.append(f"{Path(source).name}:{stat.st_size}:{stat.st_mtime_ns}")
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]

    def json_array(self, source: Path, dtype: str = "float64") -> ArrayStore:
        """Entry with one array ``data`` for a JSON list of equally shaped numbers.

        Raises:
            DataError: the file is truncated or damaged.
        """

        def convert(folder: Path) -> None:
            with conversion_progress(source) as advance:
                json_to_npy(source, folder / "data.npy", dtype, advance)

        return self.get(source.stem, [source], convert, options=dtype)


def save_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``<name>.npy`` for each array, as a cache entry's ``convert`` does."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)


class conversion_progress:
    """A progress bar for a conversion that takes more than a moment.

    Args:
        source: file or folder that is converted.
        total: number of steps; a file's bytes if omitted, shown for large files only.
        shown: show a bar for other steps than bytes.
    """

    def __init__(self, source: Path, total: int | None = None, shown: bool = False) -> None:
        self.source = Path(source)
        self.total = total if total is not None else self.source.stat().st_size
        self.shown = shown if total is not None else self.total >= _SHOW_PROGRESS_FROM
        self.bar = None

    def __enter__(self) -> Callable[[int], None]:
        if not self.shown:
            return lambda steps: None
        from rich.console import Console
        from rich.progress import Progress

        print_log(f"converting {self.source} once into a memory-mapped cache", logger="current")
        self.bar = Progress(console=Console(stderr=True), transient=True)
        self.bar.__enter__()
        task = self.bar.add_task(self.source.name, total=self.total)
        return lambda steps: self.bar.advance(task, steps)

    def __exit__(self, *failure: object) -> None:
        if self.bar is not None:
            self.bar.__exit__(*failure)
