"""Linear blend skinning of a parametric hand, batched and differentiable.

Source: Romero et al., "Embodied Hands" (MANO), equations 1 to 4, after SMPL (Loper et al. 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handzoo.errors import ConfigError, ResourceError, suggest
from handzoo.hands.conventions import (
    MANO_PARENTS,
    MANO_TO_JOINTS,
    NUM_FACES,
    NUM_MANO_JOINTS,
    NUM_POSE,
    NUM_SHAPE,
    NUM_VERTICES,
    TIP_VERTICES,
)
from handzoo.hands.rotations import axis_angle_to_matrix

_SHAPES: dict[str, tuple[int, ...]] = {
    "v_template": (NUM_VERTICES, 3),
    "faces": (NUM_FACES, 3),
    "shapedirs": (NUM_VERTICES, 3, NUM_SHAPE),
    "posedirs": (NUM_VERTICES, 3, 9 * (NUM_MANO_JOINTS - 1)),
    "J_regressor": (NUM_MANO_JOINTS, NUM_VERTICES),
    "weights": (NUM_VERTICES, NUM_MANO_JOINTS),
    "hands_mean": (NUM_POSE - 3,),
}

# Name here -> key in MANO's file (and in files with its layout).
MANO_KEYS: dict[str, str] = {name: "f" if name == "faces" else name for name in _SHAPES}


@dataclass(frozen=True)
class HandModelData:
    """Arrays of a hand model, under MANO's names.

    Attributes:
        v_template: (778, 3) metres.
        faces: (1538, 3) vertex indices, counter-clockwise seen from outside.
        shapedirs: (778, 3, 10) metres for one unit of shape.
        posedirs: (778, 3, 135) metres for one unit of R - I of joints 1..15, row by row.
        J_regressor: (16, 778); rows sum to 1.
        weights: (778, 16) skinning weights; rows sum to 1.
        hands_mean: (45,) mean pose, axis-angle.
        parents: kinematic parent of each of the 16 joints, -1 for the wrist.
        tip_vertices: tips (thumb, index, middle, ring, little) of this very mesh; None where the
            mesh is MANO's and the published sets apply.
        extras: anything else the file holds (parts, uv, joint limits), by name.
    """

    v_template: np.ndarray
    faces: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    weights: np.ndarray
    hands_mean: np.ndarray
    parents: tuple[int, ...] = MANO_PARENTS
    tip_vertices: tuple[int, ...] | None = None
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def check(self, source: str) -> None:
        """Raise ResourceError, naming ``source``, where an array is not what MANO defines."""
        for name, shape in _SHAPES.items():
            found = np.asarray(getattr(self, name)).shape
            if found != shape:
                raise ResourceError(f"{source}: '{name}' has shape {found}, expected {shape}.")
        if self.faces.min() < 0 or self.faces.max() >= NUM_VERTICES:
            raise ResourceError(f"{source}: faces name vertices outside 0..{NUM_VERTICES - 1}.")
        parents_ok = len(self.parents) == NUM_MANO_JOINTS and self.parents[0] == -1
        if not parents_ok or any(not 0 <= p < j for j, p in enumerate(self.parents) if j):
            raise ResourceError(
                f"{source}: parents {self.parents} are no tree rooted at joint 0 in which each "
                "parent comes before its children."
            )


@dataclass
class HandModelOutput:
    """A posed hand.

    Attributes:
        vertices: (B, 778, 3) metres.
        joints: (B, 21, 3) metres, regressed from ``vertices``, in HandZoo's order.
        skeleton: (B, 16, 3) metres, origins of the kinematic joints in MANO's order. They differ
            from the regressed joints by some tenths of a millimetre in bent poses.
    """

    vertices: Tensor
    joints: Tensor
    skeleton: Tensor


def resolve_tips(
    tips: str | Sequence[int], own: Sequence[int] | None = None
) -> tuple[int, int, int, int, int]:
    """Vertices of the five finger tips (thumb, index, middle, ring, little).

    Args:
        tips: name of a published set (``freihand``, ``manopth``, ``metro``, ...), or five indices.
        own: the mesh's own tips, which any named set then stands for, since the published
            indices mean nothing on a mesh that is not MANO's.

    Raises:
        ConfigError: unknown set, or indices that are not five vertices of the mesh.
    """
    if isinstance(tips, str):
        if tips not in TIP_VERTICES:
            raise ConfigError(
                f"tips: no tip set is called {tips!r}. {suggest(tips, TIP_VERTICES)} "
                f"There are: {', '.join(TIP_VERTICES)}, or give five vertex indices."
            )
        tips = own if own is not None else TIP_VERTICES[tips]
    indices = tuple(int(index) for index in tips)
    if len(indices) != 5 or not all(0 <= index < NUM_VERTICES for index in indices):
        raise ConfigError(f"tips: expected five indices below {NUM_VERTICES}, got {indices}.")
    return indices


class HandModel(nn.Module):
    """Pose and shape to mesh and joints, for MANO and every model with its layout.

    The arrays are buffers that stay out of ``state_dict``: a checkpoint must not carry a
    licensed hand model, and must load with another one.

    Args:
        data: the model's arrays.
        name: ``mano``, ``bundled``, ...
        tips: tip set or five vertex indices, see :func:`resolve_tips`.
        is_stand_in: whether this model stands in for the real MANO.
        flat_hand_mean: if False (as FreiHAND), ``hands_mean`` is added to the finger pose.

    Attributes:
        extras: what else the model's file holds, by name (numpy arrays).

    Raises:
        ResourceError: an array of ``data`` does not have MANO's shape.
    """

    v_template: Tensor
    faces: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    J_regressor: Tensor
    weights: Tensor
    hands_mean: Tensor
    joint_regressor: Tensor

    def __init__(
        self,
        data: HandModelData,
        name: str,
        tips: str | Sequence[int] = "freihand",
        is_stand_in: bool = False,
        flat_hand_mean: bool = False,
    ) -> None:
        super().__init__()
        data.check(name)
        self.name = name
        self.tips = tips if isinstance(tips, str) else tuple(tips)
        self.tip_vertices = resolve_tips(tips, data.tip_vertices)
        self.is_stand_in = is_stand_in
        self.flat_hand_mean = flat_hand_mean
        self.parents = tuple(data.parents)
        self.extras = dict(data.extras)
        for key in _SHAPES:
            dtype = np.int64 if key == "faces" else np.float32
            array = np.ascontiguousarray(np.asarray(getattr(data, key)).astype(dtype))
            self.register_buffer(key, torch.from_numpy(array), persistent=False)
        tip_rows = F.one_hot(torch.tensor(self.tip_vertices), NUM_VERTICES).float()
        regressor = torch.cat((self.J_regressor, tip_rows))[list(MANO_TO_JOINTS)]
        self.register_buffer("joint_regressor", regressor.contiguous(), persistent=False)
        self._levels, self._order = _tree_levels(self.parents)

    def forward(
        self, pose: Tensor, shape: Tensor | None = None, translation: Tensor | None = None
    ) -> HandModelOutput:
        """Pose the hand.

        Args:
            pose: (B, 48) axis-angle: global orientation, then 15 finger joints in MANO's order
                (index 1-3, middle, little, ring, thumb), relative to the mean pose unless
                ``flat_hand_mean``.
            shape: (B, 10) shape coefficients; zeros if None.
            translation: (B, 3) metres, added to everything; zeros if None.

        Returns:
            Vertices, the 21 joints, and the kinematic skeleton, in metres. The hand turns about
            its wrist joint, which without translation stays where the shape puts it.
        """
        batch = pose.shape[0]
        fingers = pose[:, 3:] if self.flat_hand_mean else pose[:, 3:] + self.hands_mean
        rotations = axis_angle_to_matrix(
            torch.cat((pose[:, :3], fingers), dim=1).view(batch, NUM_MANO_JOINTS, 3)
        )
        return self.pose_by_rotations(rotations, shape, translation)

    def pose_by_rotations(
        self, rotations: Tensor, shape: Tensor | None = None, translation: Tensor | None = None
    ) -> HandModelOutput:
        """Pose the hand by rotation matrices, which are absolute: no mean pose is added.

        Args:
            rotations: (B, 16, 3, 3) of the wrist (global orientation), then the 15 finger joints
                relative to their parents, in MANO's order.
            shape, translation: as in :meth:`forward`.
        """
        batch = rotations.shape[0]
        shape = rotations.new_zeros(batch, NUM_SHAPE) if shape is None else shape
        # T_P = T + B_S(beta) + B_P(theta), MANO equation 2.
        shaped = self.v_template + F.linear(shape, self.shapedirs.flatten(0, 1)).view(batch, -1, 3)
        identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        correction = (rotations[:, 1:] - identity).flatten(1)
        posed = shaped + F.linear(correction, self.posedirs.flatten(0, 1)).view(batch, -1, 3)

        rest_joints = self.J_regressor @ shaped
        world, skeleton = self._kinematics(rotations, rest_joints)
        # Each joint carries x -> R (x - j_rest) + j_posed = R x + (j_posed - R j_rest).
        offset = skeleton - (world @ rest_joints[..., None]).squeeze(-1)
        transforms = torch.cat((world, offset[..., None]), dim=-1).flatten(2)
        blended = (self.weights @ transforms).view(batch, NUM_VERTICES, 3, 4)
        vertices = (blended[..., :3] * posed[:, :, None, :]).sum(-1) + blended[..., 3]

        if translation is not None:
            vertices = vertices + translation[:, None]
            skeleton = skeleton + translation[:, None]
        return HandModelOutput(vertices, self.regress_joints(vertices), skeleton)

    def regress_joints(self, vertices: Tensor) -> Tensor:
        """21 joints (B, 21, 3) of posed meshes (B, 778, 3), linear in the vertices (as METRO)."""
        return self.joint_regressor.to(vertices) @ vertices

    def _kinematics(self, rotations: Tensor, rest_joints: Tensor) -> tuple[Tensor, Tensor]:
        """World rotations (B, 16, 3, 3) and joint origins (B, 16, 3), one tree level at a time."""
        level_rotations = [rotations[:, :1]]
        level_origins = [rest_joints[:, :1]]
        for joints, slots, parents in self._levels:
            parent_rotation = level_rotations[-1][:, slots]
            bone = rest_joints[:, joints] - rest_joints[:, parents]
            moved = (parent_rotation @ bone[..., None]).squeeze(-1)
            level_origins.append(level_origins[-1][:, slots] + moved)
            level_rotations.append(parent_rotation @ rotations[:, joints])
        world = torch.cat(level_rotations, dim=1)[:, self._order]
        return world, torch.cat(level_origins, dim=1)[:, self._order]

    def extra_repr(self) -> str:
        return f"name={self.name!r}, tips={self.tips!r}, flat_hand_mean={self.flat_hand_mean}"


def _tree_levels(
    parents: Sequence[int],
) -> tuple[list[tuple[list[int], list[int], list[int]]], list[int]]:
    """Split the joints below the root by depth.

    Returns:
        For each depth: its joints, the slot of each parent among the previous depth's joints,
        and the parents themselves; and the order that sorts the concatenated depths by joint.
    """
    levels, previous = [], [0]
    visited = [0]
    while len(visited) < len(parents):
        joints = [joint for joint, parent in enumerate(parents) if joint and parent in previous]
        chosen = [parents[joint] for joint in joints]
        levels.append((joints, [previous.index(parent) for parent in chosen], chosen))
        visited += joints
        previous = joints
    return levels, sorted(range(len(visited)), key=visited.__getitem__)
