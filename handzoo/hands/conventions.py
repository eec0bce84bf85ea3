"""Joint orders, finger-tip vertices and names: the one place where they are written down.

Sources: FreiHAND ``utils/fh_utils.py`` (joint order, tips), MANO (kinematic tree), the tip sets
of manopth, METRO, HandMesh and smplx as published in their code, RHD ``README``.
"""

from __future__ import annotations

NUM_JOINTS = 21
NUM_VERTICES = 778
NUM_FACES = 1538
NUM_COARSE = 195
NUM_MANO_JOINTS = 16
NUM_SHAPE = 10
NUM_POSE = 3 * NUM_MANO_JOINTS

FINGERS: tuple[str, ...] = ("thumb", "index", "middle", "ring", "little")

# FreiHAND's order: wrist, then each finger from base to tip.
JOINT_NAMES: tuple[str, ...] = (
    "wrist",
    "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip",
    "index_mcp", "index_pip", "index_dip", "index_tip",
    "middle_mcp", "middle_pip", "middle_dip", "middle_tip",
    "ring_mcp", "ring_pip", "ring_dip", "ring_tip",
    "little_mcp", "little_pip", "little_dip", "little_tip",
)  # fmt: skip

WRIST = 0
JOINT_PARENTS: tuple[int, ...] = (-1,) + tuple(
    0 if joint % 4 == 1 else joint - 1 for joint in range(1, NUM_JOINTS)
)
TIP_JOINTS: tuple[int, ...] = (4, 8, 12, 16, 20)
BONES: tuple[tuple[int, int], ...] = tuple(
    (parent, joint) for joint, parent in enumerate(JOINT_PARENTS) if parent >= 0
)
FINGER_OF_JOINT: tuple[int, ...] = (-1,) + tuple((joint - 1) // 4 for joint in range(1, NUM_JOINTS))

# FreiHAND's `scale` is the length of this bone (middle finger, MCP to PIP).
SCALE_BONE: tuple[int, int] = (9, 10)
# FreiHAND stores the hand's translation at this joint (middle MCP).
FREIHAND_ROOT = 9

# MANO's sixteen joints; note that little comes before ring, and the thumb last.
MANO_JOINT_NAMES: tuple[str, ...] = (
    "wrist",
    "index1", "index2", "index3",
    "middle1", "middle2", "middle3",
    "little1", "little2", "little3",
    "ring1", "ring2", "ring3",
    "thumb1", "thumb2", "thumb3",
)  # fmt: skip
MANO_PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)

# MANO's 16 joints with the tips (thumb, index, middle, ring, little) appended -> our 21.
MANO_TO_JOINTS: tuple[int, ...] = (
    0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20,
)  # fmt: skip

# Vertex that stands for the tip of (thumb, index, middle, ring, little) on MANO's mesh. They
# differ between code bases by 2 to 5 mm, which matters at an error of 6 mm.
TIP_VERTICES: dict[str, tuple[int, int, int, int, int]] = {
    "freihand": (744, 320, 443, 555, 672),
    "manopth": (745, 317, 444, 556, 673),
    "metro": (745, 317, 445, 556, 673),
    "handmesh": (744, 333, 444, 555, 672),
    "smplx": (744, 320, 443, 554, 671),
}

# RHD lists each hand from its wrist, then each finger from tip to palm.
RHD_TO_JOINTS: tuple[int, ...] = (
    0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17,
)  # fmt: skip
