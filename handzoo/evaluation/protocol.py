"""What a number means: data set, split, root, alignment, joint order, unit, thresholds.

Names of metrics are composed so that none is ambiguous: a prefix for the alignment, then what is
measured.

=========  =================================================================================
prefix     alignment of each sample before the error is taken
=========  =================================================================================
(none)     the root joint is subtracted from both
``S-``     root-relative, and the prediction is scaled about the root by least squares
``ST-``    centroid and scale by least squares, no rotation
``PA-``    Procrustes as FreiHAND's eval.py: rotation *or reflection*, scale, translation
``PA-``    with the suffix ``-det+1``: the same without reflections
``CS-``    none: camera space, the official "unaligned" tracks
``B-``     root-relative, and one bone of the prediction gets its true length (RHD)
``C-``     centroid and mean distance to it (finger tips of Dexter+Object)
``RD-``    camera space with the root at its true depth (Dexter+Object's "*" rows)
=========  =================================================================================
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from handzoo.errors import ConfigError, suggest
from handzoo.evaluation.functional.pck import FREIHAND_PCK, PCKRange


@dataclass(frozen=True)
class Track:
    """One alignment: how its metrics are named and what it is called in a protocol id."""

    prefix: str
    align: str
    description: str
    suffix: str = ""


TRACKS: dict[str, Track] = {
    "root": Track("", "root", "root subtracted"),
    "scale": Track("S-", "root+scale", "root subtracted, least-squares scale about the root"),
    "scale-translation": Track(
        "ST-", "translation+scale", "centroid and least-squares scale, no rotation"
    ),
    "procrustes": Track(
        "PA-", "procrustes-reflect", "rotation or reflection, scale, translation (official)"
    ),
    "procrustes-det+1": Track(
        "PA-", "procrustes-det+1", "rotation, scale, translation; no reflection", suffix="-det+1"
    ),
    "camera": Track("CS-", "none", "camera space, unaligned"),
    "bone": Track("B-", "root+bone", "root subtracted, one bone at its true length"),
    "centroid": Track("C-", "centroid+mean-distance", "centroid and mean distance to it"),
    "root-depth": Track("RD-", "root-depth", "camera space, root at its true depth"),
}

MEASURES: dict[str, tuple[str, bool, str]] = {
    # measure -> unit, higher is better, what it is
    "MPJPE": ("mm", False, "mean error of the joints"),
    "MPVPE": ("mm", False, "mean error of the vertices"),
    "AUC-J": ("", True, "area under the joints' PCK curve"),
    "AUC-V": ("", True, "area under the vertices' PCK curve"),
    "F@5": ("", True, "F-score of the vertices at 5 mm"),
    "F@15": ("", True, "F-score of the vertices at 15 mm"),
    "EPE-2D": ("px", False, "mean error of the projected joints in the crop"),
}


@dataclass(frozen=True)
class MetricInfo:
    """What one metric's name says.

    Attributes:
        name: as in a result, for example ``PA-MPJPE-det+1``.
        track: key of :data:`TRACKS`, or '' for a metric that has no 3D alignment.
        measure: key of :data:`MEASURES`.
        qualifier: what stands in brackets, such as another threshold range; '' if nothing does.
    """

    name: str
    track: str
    measure: str
    unit: str
    higher_is_better: bool
    description: str
    qualifier: str = ""


def metric_name(track: str, measure: str, qualifier: str = "") -> str:
    """``('procrustes-det+1', 'MPJPE')`` -> ``PA-MPJPE-det+1``."""
    where = TRACKS[track]
    bracket = f"[{qualifier}]" if qualifier else ""
    return f"{where.prefix}{measure}{bracket}{where.suffix}"


def metric_info(name: str) -> MetricInfo:
    """Read a metric's name.

    Raises:
        ConfigError: if no such metric exists; names the nearest.
    """
    bare, qualifier = name, ""
    if "[" in name and "]" in name:
        head, rest = name.split("[", 1)
        qualifier, tail = rest.split("]", 1)
        bare = head + tail
    for measure, (unit, higher, what) in MEASURES.items():
        if bare == measure == "EPE-2D":
            return MetricInfo(name, "", measure, unit, higher, what, qualifier)
        for key, track in TRACKS.items():
            if bare == metric_name(key, measure):
                text = f"{what}; {track.description}"
                return MetricInfo(name, key, measure, unit, higher, text, qualifier)
    known = [
        metric_name(key, measure) for key in TRACKS for measure in MEASURES if measure != "EPE-2D"
    ]
    raise ConfigError(f"no metric is called {name!r}. {suggest(name, [*known, 'EPE-2D'])}")


@dataclass(frozen=True)
class Protocol:
    """How predictions are compared with the ground truth.

    Attributes:
        dataset: name and version, for example ``freihand-v2``; a stand-in has a name of its own.
        split: ``evaluation``, ``training``, ...
        root_name: what the root is called in the id.
        root: the root's joints; several are averaged.
        joint_order: joint set and order.
        joints_from: ``joints`` as the method reports them, ``mesh`` regressed from its vertices, or
            ``submission`` where a file does not say.
        points: ``all`` joints or finger ``tips`` only.
        tracks: alignments that are reported, keys of :data:`TRACKS`.
        fscore_tracks: alignments with F-scores; where the camera frame is unknown, ``root`` stands
            for ``camera``.
        pck: thresholds of the main area under the curve.
        more_pck: further areas of the joints, by the qualifier in their name.
        bone: for the track ``bone``.
        unit: of reported distances.
    """

    dataset: str = "freihand-v2"
    split: str = "evaluation"
    root_name: str = "wrist"
    root: tuple[int, ...] = (0,)
    joint_order: str = "21-freihand"
    joints_from: str = "joints"
    points: str = "all"
    tracks: tuple[str, ...] = (
        "procrustes",
        "procrustes-det+1",
        "root",
        "scale",
        "scale-translation",
        "camera",
    )
    fscore_tracks: tuple[str, ...] = ("procrustes", "camera")
    pck: PCKRange = FREIHAND_PCK
    more_pck: tuple[tuple[str, PCKRange], ...] = ()
    bone: tuple[int, int] | None = None
    unit: str = "mm"

    def __post_init__(self) -> None:
        for track in (*self.tracks, *self.fscore_tracks):
            if track not in TRACKS:
                raise ConfigError(
                    f"tracks: no alignment is called {track!r}. {suggest(track, TRACKS)} "
                    f"There are: {', '.join(TRACKS)}."
                )
        if "bone" in self.tracks and self.bone is None:
            raise ConfigError(
                "bone: the track 'bone' needs the two joints of a bone, such as (9, 10)"
            )
        if self.points not in ("all", "tips"):
            raise ConfigError(f"points: must be 'all' or 'tips', got {self.points!r}")
        if self.joints_from not in ("joints", "mesh", "submission"):
            raise ConfigError(
                f"joints_from: must be 'joints', 'mesh' or 'submission', got {self.joints_from!r}"
            )

    @property
    def id(self) -> str:
        """For example
        ``freihand-v2/evaluation/root=wrist/joints=21-freihand/from=mesh/unit=mm``.
        """
        parts = [self.dataset, self.split, f"root={self.root_name}", f"joints={self.joint_order}"]
        parts.append(f"from={self.joints_from}")
        if self.points != "all":
            parts.append(f"points={self.points}")
        return "/".join([*parts, f"unit={self.unit}"])

    def metric_id(self, name: str) -> str:
        """The protocol id of one metric, which adds alignment and thresholds."""
        info = metric_info(name)
        parts = [self.dataset, self.split]
        if info.track:
            align = TRACKS[info.track].align
            if info.track == "bone" and self.bone is not None:
                align += f"{self.bone[0]}-{self.bone[1]}"
            parts += [f"root={self.root_name}", f"align={align}"]
        parts.append(f"joints={self.joint_order}")
        if info.measure in ("MPJPE", "AUC-J", "EPE-2D"):
            source = "mesh" if info.qualifier == "mesh" else self.joints_from
            parts.append(f"from={source}")
        if self.points != "all":
            parts.append(f"points={self.points}")
        if info.measure.startswith("AUC"):
            range_ = dict(self.more_pck).get(info.qualifier, self.pck)
            parts.append(f"pck={range_.id}")
        return "/".join([*parts, f"unit={info.unit or '1'}"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the id included."""
        return {"id": self.id, **asdict(self)}

    def replace(self, **changes: Any) -> Protocol:
        """Copy with some fields changed."""
        return replace(self, **changes)
