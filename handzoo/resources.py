"""What a config needs that is not code, where it was found, and what stood in for it.

A *resource* is a data set, a hand-model file or a weights file. None may be bundled, and most
machines lack some, so each has a *stand-in* that HandZoo made itself. :func:`resolve` finds the
real thing or the stand-in, and every answer is recorded in the active :class:`ResourceReport`,
which goes into logs, checkpoints and result files: a number on a stand-in is never mistaken for a
number on the real thing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from handzoo.errors import ResourceError, suggest

if TYPE_CHECKING:
    from rich.table import Table

ASSETS = Path(__file__).resolve().parent / "assets"

REAL, STAND_IN, MISSING = "real", "stand-in", "missing"


@dataclass(frozen=True)
class ResourceUse:
    """One resource, as a run found it.

    Attributes:
        name: such as ``data/freihand``.
        status: ``real``, ``stand-in`` or ``missing``.
        where: path or hub tag of what is used; empty when it is missing.
        how: how to get the real thing.
        note: what the stand-in is.
    """

    name: str
    status: str
    where: str
    how: str
    note: str = ""

    @property
    def path(self) -> Path:
        """``where`` as a path.

        Raises:
            ResourceError: the resource is missing.
        """
        if self.status == MISSING:
            raise ResourceError(f"{self.name} is not on this machine. {self.how}")
        return Path(self.where)


@dataclass
class ResourceReport:
    """The resources that a run used, in the order of first use.

    Attributes:
        require_real: refuse stand-ins.
    """

    require_real: bool = False
    uses: dict[str, ResourceUse] = field(default_factory=dict)

    def add(self, use: ResourceUse) -> None:
        """Record a use.

        Raises:
            ResourceError: stand-ins are refused and this is not the real thing.
        """
        if self.require_real and use.status != REAL:
            raise ResourceError(
                f"{use.name} is {use.status} here, and --require-real refuses stand-ins. {use.how}"
            )
        self.uses[use.name] = use

    @property
    def all_real(self) -> bool:
        """Whether nothing stood in for anything."""
        return all(use.status == REAL for use in self.uses.values())

    def rows(self) -> list[dict[str, str]]:
        """One plain dictionary per resource, for JSON and checkpoints."""
        return [asdict(use) for use in self.uses.values()]

    def table(self) -> Table:
        """The table that a run prints: resource, real or stand-in, where, how to get it."""
        return resource_table(self.rows())


def resource_table(rows: list[dict[str, str]]) -> Table:
    """Draw the rows of a report, of this run or out of a checkpoint, as a table."""
    from rich.table import Table

    table = Table(title="Resources", title_justify="left")
    for column in ("resource", "status", "where", "how to get the real one"):
        table.add_column(column, overflow="fold")
    colours = {REAL: "green", STAND_IN: "yellow", MISSING: "red"}
    for row in rows:
        real = row["status"] == REAL
        where = row["where"] + (f"\n({row['note']})" if row["note"] else "")
        status = f"[{colours[row['status']]}]{row['status']}[/]"
        table.add_row(row["name"], status, where, "" if real else row["how"])
    return table


_active: ContextVar[ResourceReport | None] = ContextVar("handzoo_resources", default=None)


@contextlib.contextmanager
def collect_resources(require_real: bool = False) -> Iterator[ResourceReport]:
    """Record every resource that is resolved inside this block.

    Args:
        require_real: raise where a stand-in would be used.

    Example:
        >>> with collect_resources() as report:
        ...     _ = resolve('hand_model')
        >>> [row['name'] for row in report.rows()]
        ['hand_model']
    """
    report = ResourceReport(require_real=require_real)
    token = _active.set(report)
    try:
        yield report
    finally:
        _active.reset(token)


def active_report() -> ResourceReport | None:
    """The report that :func:`resolve` writes to now, if there is one."""
    return _active.get()


def record(use: ResourceUse) -> ResourceUse:
    """Put a use that was resolved elsewhere into the active report, and return it."""
    report = _active.get()
    if report is not None:
        report.add(use)
    return use


def data_root() -> Path:
    """Folder that holds the data sets: HANDZOO_DATA, else ``data`` below the current folder."""
    return Path(os.environ.get("HANDZOO_DATA") or "data")


def cache_root() -> Path:
    """Folder for what HandZoo computes once: HANDZOO_CACHE, else ``~/.cache/handzoo``."""
    fallback = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "handzoo"
    return Path(os.environ.get("HANDZOO_CACHE") or fallback)


def resolve(name: str, path: str | os.PathLike[str] | None = None) -> ResourceUse:
    """Find a resource or its stand-in, and record the answer.

    Args:
        name: ``hand_model``, ``data/freihand``, ``data/rhd``, ``data/dexter_object``,
            ``data/hagrid``, ``clip/<architecture>``, ``backbone/<timm name>``,
            ``mesh_sampling/metro``; ``KIND/...`` where a plugin provides the resolver KIND.
        path: where the config says that it is; wins over the usual places.

    Returns:
        The use; its status is ``missing`` when there is neither the real thing nor a stand-in.

    Raises:
        ResourceError: no resource has that name, ``path`` is given and is not there or is
            something else (taking another one would go unnoticed), or the active report refuses
            stand-ins.
    """
    kind = name.split("/", 1)[0]
    resolver = _RESOLVERS.get(name) or _RESOLVERS.get(kind + "/*") or _plugin_resolver(kind)
    if resolver is None:
        raise ResourceError(
            f"no resource is called {name!r}. {suggest(name, _RESOLVERS)} "
            f"There are: {', '.join(_RESOLVERS)}."
        )
    if path is not None and not Path(path).exists():
        raise ResourceError(
            f"{name}: the config says {str(path)!r}, and nothing is there. Correct the path, or "
            f"leave it out to search the usual places."
        )
    use = resolver(name, Path(path) if path is not None else None)
    if path is not None and not _lies_at(use.where, Path(path)):
        raise ResourceError(
            f"{name}: the config says {str(path)!r}, and that is not it. Name the file or folder "
            f"itself, or leave the path out to search the usual places. {use.how}"
        )
    return record(use)


def _lies_at(where: str, path: Path) -> bool:
    """Whether what was found is what the config names, or lies in it."""
    found, named = Path(where).resolve(), path.resolve()
    return bool(where) and (found == named or named in found.parents)


def _plugin_resolver(kind: str) -> Callable[[str, Path | None], ResourceUse] | None:
    """What a plugin provides as the ``resource_resolver`` of this kind of resource."""
    from handzoo import plugins

    return plugins.resolve("resource_resolver", kind)


def _hand_model(name: str, path: Path | None) -> ResourceUse:
    how = (
        "Register at https://mano.is.tue.mpg.de, accept the licence, and put MANO_RIGHT.pkl "
        "into data/mano/, or name it in HANDZOO_MANO."
    )
    named = os.environ.get("HANDZOO_MANO")
    if named and not Path(named).is_file():
        raise ResourceError(f"HANDZOO_MANO says {named!r}, and no file is there. {how}")
    candidates = [path, Path(named) if named else None]
    candidates += [data_root() / "mano" / "MANO_RIGHT.pkl", data_root() / "MANO_RIGHT.pkl"]
    for candidate in candidates:
        if candidate is not None and candidate.is_file():
            return ResourceUse(name, REAL, str(candidate), how)
    bundled = ASSETS / "hand" / "bundled_hand.npz"
    return ResourceUse(name, STAND_IN, str(bundled), how, "HandZoo's bundled hand")


def _data(marker: str, how: str, has_sample: bool = False) -> Callable[..., ResourceUse]:
    """A resolver for a data set; ``marker`` is a file pattern that its layout always has."""

    def resolver(name: str, path: Path | None) -> ResourceUse:
        sample = ASSETS / "sample"
        root = path if path is not None else data_root() / name.split("/", 1)[1]
        if root.resolve() == sample:
            return ResourceUse(name, STAND_IN, str(sample), how, "HandZoo's bundled sample")
        if root.is_dir() and next(root.glob(marker), None) is not None:
            if has_sample and next(root.glob("*_meta.json"), None) is not None:
                note = "rendered by HandZoo's synthesis"
                return ResourceUse(name, STAND_IN, str(root), how, note)
            return ResourceUse(name, REAL, str(root), how)
        if path is not None:
            raise ResourceError(
                f"{name}: {path} holds nothing like {marker!r}, so it does not have the "
                f"published layout. {how}"
            )
        if has_sample:
            return ResourceUse(name, STAND_IN, str(sample), how, "HandZoo's bundled sample")
        return ResourceUse(name, MISSING, "", how)

    return resolver


def _mesh_sampling(name: str, path: Path | None) -> ResourceUse:
    how = (
        "Take mano_downsampling.npz from the METRO or FastMETRO repository and put it into "
        "data/mano/ (it contains MANO's template: MANO's licence holds)."
    )
    candidate = path if path is not None else data_root() / "mano" / "mano_downsampling.npz"
    if candidate.is_file():
        return ResourceUse(name, REAL, str(candidate), how)
    return ResourceUse(name, STAND_IN, "computed", how, "quadric edge collapse of the hand model")


def _clip(name: str, path: Path | None) -> ResourceUse:
    from handzoo.models.text_encoders.weights import find_clip_weights

    return find_clip_weights(name, path)


def _backbone(name: str, path: Path | None) -> ResourceUse:
    from handzoo.models.backbones.weights import find_backbone_weights

    return find_backbone_weights(name, path)


_RESOLVERS: dict[str, Callable[[str, Path | None], ResourceUse]] = {
    "hand_model": _hand_model,
    "data/freihand": _data(
        "*_[Kux]*.json",
        "Download FreiHAND v2 from https://lmb.informatik.uni-freiburg.de/projects/freihand/ "
        "and unpack both archives into data/freihand.",
        has_sample=True,
    ),
    "data/rhd": _data(
        "*/anno_*.pickle",
        "Download RHD_published_v2 from https://lmb.informatik.uni-freiburg.de/resources/"
        "datasets/RenderedHandposeDataset.en.html and unpack it into data/rhd.",
    ),
    "data/dexter_object": _data(
        "data/*/annotations/*2D.txt",
        "Download Dexter+Object from https://handtracker.mpi-inf.mpg.de/projects/RealtimeHO/ "
        "and unpack it into data/dexter_object.",
    ),
    "data/hagrid": _data(
        "*ann*/**/*.json",
        "Download HaGRID from https://github.com/hukenovs/hagrid and unpack images and "
        "annotations into data/hagrid.",
    ),
    "mesh_sampling/metro": _mesh_sampling,
    "clip/*": _clip,
    "backbone/*": _backbone,
}
