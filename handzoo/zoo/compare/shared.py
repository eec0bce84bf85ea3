"""What models with different joints, hand models or inputs can be compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from handzoo.evaluation.protocol import metric_info
from handzoo.resources import REAL
from handzoo.zoo.compare.outcome import ModelOutcome

_MESH = ("MPVPE", "AUC-V", "F@5", "F@15")


@dataclass
class Shared:
    """Which metrics may stand side by side.

    Attributes:
        metrics: names that all models have and that mean the same for all.
        left_out: name of a metric -> why it is not compared.
        notes: sentences for the report.
    """

    metrics: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def what_is_shared(outcomes: Sequence[ModelOutcome]) -> Shared:
    """Sort the metrics of all models into those that can be compared and those that cannot.

    Joints need the same joint order; meshes need the same hand model (and that of the data);
    joints that are regressed from a mesh need the same regressor; pixels need the same crop.
    """
    shared = Shared()
    if not outcomes:
        return shared
    identities = [(outcome.label, outcome.identity) for outcome in outcomes]
    joints = _difference(identities, ("joint_order", "num_joints"), "joint orders")
    meshes = _difference(
        identities, ("hand_model", "hand_model_sha256", "num_vertices"), "hand models"
    ) or _foreign_mesh(outcomes)
    tips = meshes or _difference(
        identities, ("joint_regressor_sha256",), "joint regressors of the mesh"
    )
    pixels = joints or _difference(identities, ("input_size",), "input sizes")
    crops = _difference(identities, ("crop",), "crops")
    sources = {row["joints_from"] for _, row in identities}
    for name in dict.fromkeys(n for o in outcomes for r in o.results for n in r.metrics):
        lacking = [o.label for o in outcomes if any(name not in r.metrics for r in o.results)]
        info = metric_info(name)
        reason = ""
        if lacking:
            reason = f"not measured for {', '.join(lacking)}"
        elif info.measure in _MESH:
            reason = meshes
        elif info.qualifier == "mesh":
            reason = tips or joints
        elif info.measure == "EPE-2D":
            reason = pixels or crops
        else:
            reason = joints
        if reason:
            shared.left_out[name] = reason
        else:
            shared.metrics.append(name)
    for what, reason in (("Joints", joints), ("Meshes", meshes)):
        if reason:
            shared.notes.append(f"{what} are not compared: {reason}.")
    if crops:
        shared.notes.append(
            f"The models see different parts of the pictures: {crops}. A crop from annotation "
            "knows what a user's picture does not have."
        )
    if len(sources) > 1:
        by = ", ".join(f"{label}: {row['joints_from']}" for label, row in identities)
        shared.notes.append(
            "The models' joints come from different outputs (reported joints, or regressed from "
            f"the mesh), as their configs say: {by}."
        )
    return shared


def _difference(
    identities: Sequence[tuple[str, dict[str, Any]]], keys: tuple[str, ...], what: str
) -> str:
    """'' where all agree, else a phrase with everybody's value."""
    values = {label: [row.get(key) for key in keys] for label, row in identities}
    first = next(iter(values.values()))
    if all(value == first for value in values.values()):
        return ""
    parts = []
    for label, row in identities:
        shown = row.get(keys[0])
        if isinstance(shown, dict):
            shown = ", ".join(f"{k} {v}" for k, v in shown.items() if k != "type") or "none"
        elif keys[0].endswith("sha256"):
            shown = str(shown)[:8] or "none"
        parts.append(f"{label}: {shown}")
    return f"the models have different {what} ({'; '.join(parts)})"


def _foreign_mesh(outcomes: Sequence[ModelOutcome]) -> str:
    """A mesh error means nothing where the data's hands are of another hand model.

    FreiHAND's annotation is MANO's mesh, a stand-in's is the bundled hand's; both have 778
    vertices, but not the same ones.
    """
    for outcome in outcomes:
        status = {row["name"]: row["status"] for row in outcome.resources}
        data = {value for name, value in status.items() if name.startswith("data/")}
        hand = status.get("hand_model")
        if hand is None or len(data) != 1:
            continue
        if (hand == REAL) != (data == {REAL}):
            return (
                "the hand model of the models and that of the data's annotation differ (one is "
                "MANO, the other the bundled hand), so their vertices do not correspond"
            )
    return ""
