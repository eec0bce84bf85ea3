"""What is in a picture: everything about one hand is drawn here, from one random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from handzoo.hands.models import HandModel
from handzoo.synthesis import poses
from handzoo.synthesis.arm import ArmPose
from handzoo.synthesis.colors import BACKDROPS
from handzoo.synthesis.lights import sample_key_direction
from handzoo.synthesis.occluders import Occluder
from handzoo.synthesis.painters import SCENES
from handzoo.synthesis.render import Body
from handzoo.synthesis.skin import SkinSurface, SkinTone

#: The hand's longest side in pixels of a 224-pixel picture, as in FreiHAND's crops.
HAND_PIXELS = (95.0, 148.0)
FOCAL_LENGTH = (400.0, 620.0)
FREIHAND_SIZE = 224


@dataclass
class Version:
    """One background version of a scene: its background's name and the seed of what it adds."""

    background: str
    seed: int


@dataclass
class Scene:
    """One hand, drawn in several versions that share its annotation.

    key_direction (3,) points to the key light, key_size is its extent: all versions share them.
    """

    gesture: str
    body: Body
    key_direction: np.ndarray
    key_size: float
    versions: list[Version]


def _vector(values: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)


def sample_tone(rng: np.random.Generator) -> SkinTone:
    """A person's skin, over the whole range of human tones."""
    melanin = float(np.clip(rng.beta(1.0, 1.8) * 2.2, 0.02, 2.0))
    polish = None
    if rng.random() < 0.08:
        polish = tuple(float(v) for v in rng.uniform(0.02, 0.6, 3) ** 1.5)
    return SkinTone(
        melanin=melanin,
        blood=float(np.clip(rng.normal(0.18, 0.08), 0.03, 0.42)),
        mottling=float(rng.uniform(0.5, 1.5)),
        creases=float(rng.uniform(0.4, 1.0)),
        shine=float(rng.uniform(0.4, 1.2)),
        nail_length=float(rng.uniform(0.2, 1.0)),
        polish=polish,
    )


def sample_camera(
    vertices: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Camera (3, 3) and translation (3,) that put a hand into the picture as FreiHAND has it.

    Args:
        vertices: (778, 3) posed hand, m, camera axes, anywhere.
        size: side of the picture in pixels.
    """
    focal = rng.uniform(*FOCAL_LENGTH) * size / FREIHAND_SIZE
    center = (size - 1) / 2 + 0.5
    K = np.array([[focal, 0, center], [0, focal * (1 + rng.normal(0, 0.001)), center], [0, 0, 1]])
    target = rng.uniform(*HAND_PIXELS) * size / FREIHAND_SIZE
    middle = center + rng.normal(0, 5.0, 2).clip(-12, 12) * size / FREIHAND_SIZE
    low, high = vertices.min(0), vertices.max(0)
    translation = -(low + high) / 2
    translation[2] += focal * (high - low)[:2].max() / target
    for _ in range(8):
        points = (vertices + translation) @ K.T
        pixels = points[:, :2] / points[:, 2:]
        extent = pixels.max(0) - pixels.min(0)
        translation[2] *= extent.max() / target
        shift = middle - (pixels.max(0) + pixels.min(0)) / 2
        translation[:2] += shift * translation[2] / focal
    return K, translation


def sample_backgrounds(split: str, count: int, rng: np.random.Generator) -> list[str]:
    """Names of the backgrounds of a hand's versions.

    In training, version 0 is a plain screen (most often green), 1 another plain colour, 2 a scene,
    and later ones either, all different; in evaluation every version is either.
    """
    plain, scenes = list(BACKDROPS), list(SCENES)
    names: list[str] = []
    while len(names) < count:
        version = len(names)
        if split == "training" and version == 0:
            name = "green" if rng.random() < 0.5 else str(rng.choice(plain))
        elif split == "training" and version in (1, 2):
            name = str(rng.choice(plain if version == 1 else scenes))
        else:
            name = str(rng.choice(plain if rng.random() < 0.5 else scenes))
        if name not in names or count > len(plain):
            names.append(name)
    return names


def _held_thing(
    joints: np.ndarray, rotation: np.ndarray, radius: float, rng: np.random.Generator
) -> Occluder:
    """A thing that lies across the palm of a gripping hand; joints (21, 3) camera frame."""
    knuckles = joints[[5, 9, 13, 17]]
    across = knuckles[3] - knuckles[0]
    across /= np.linalg.norm(across)
    # The palm looks along -y of the hand model's frame at rest.
    normal = rotation @ np.array([0.0, -1.0, 0.0])
    normal -= (normal @ across) * across
    normal /= np.linalg.norm(normal)
    middle = 0.72 * knuckles.mean(0) + 0.28 * joints[0]
    center = middle + normal * (radius + 0.013)
    kind = rng.choice(["can", "ball", "box"], p=[0.6, 0.2, 0.2])
    axes = np.stack([np.cross(normal, across), normal, across], 1)
    half = rng.uniform(0.06, 0.10) if kind != "ball" else radius
    squareness = {"can": (1.0, 0.18), "ball": (1.0, 1.0), "box": (0.22, 0.18)}[str(kind)]
    return _thing(center, axes, np.array([radius, radius, half]), squareness, rng)


def _standing_thing(hand: np.ndarray, rng: np.random.Generator) -> Occluder:
    """A thing between the camera and the rim of the hand; vertices (778, 3) camera frame."""
    middle, extent = hand.mean(0), np.ptp(hand[:, :2], axis=0).max()
    angle = rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(0.025, 0.045)
    reach = 0.42 * extent + radius * rng.uniform(0.1, 0.7)
    center = middle + np.array([np.cos(angle) * reach, np.sin(angle) * reach, 0])
    center *= (hand[:, 2].min() - radius - 0.01) / center[2]
    squareness = (float(rng.choice([1.0, 0.22])), float(rng.choice([1.0, 0.18])))
    size = radius * rng.uniform(0.8, 1.8, 3)
    return _thing(center, poses.random_rotation(rng), size, squareness, rng)


def _thing(
    center: np.ndarray,
    axes: np.ndarray,
    size: np.ndarray,
    squareness: tuple[float, float],
    rng: np.random.Generator,
) -> Occluder:
    colors = rng.uniform(0.02, 0.8, (2, 3)) ** 1.3
    if rng.random() < 0.5:
        colors[0] = rng.uniform(0.02, 0.85)
    return Occluder(
        center=_vector(center),
        rotation=_vector(axes),
        size=_vector(size),
        squareness=squareness,
        color=tuple(float(v) for v in colors[0]),
        band=tuple(float(v) for v in colors[1]),
        roughness=float(rng.uniform(0.2, 0.6)),
    )


def sample_scene(
    model: HandModel,
    surface: SkinSurface,
    split: str,
    gesture: str,
    size: int,
    versions: int,
    rng: np.random.Generator,
    occluders: float = 0.25,
) -> Scene:
    """Draws a scene.

    Args:
        model, surface: the hand model (on any device) and its skin.
        split: 'training' or 'evaluation' (their backgrounds differ, see
            :func:`sample_backgrounds`).
        gesture: the gesture to show; ``no_gesture`` gives a free or a gripping hand.
        size: side of the pictures in pixels.
        versions: number of background versions.
        rng: the only source of randomness.
        occluders: share of the hands without gesture that meet a thing (of the others a third).
    """
    radius = rng.uniform(0.018, 0.034)
    free = gesture == poses.NO_GESTURE
    grips = free and rng.random() < 0.6 * occluders
    if grips:
        fingers = poses.grip_fingers(radius, rng)
    elif free:
        fingers = poses.free_fingers(rng)
    else:
        fingers = poses.gesture_fingers(gesture, rng)
    rest_axis, rest_wide = surface.rest_axis.cpu().numpy(), surface.rest_wide.cpu().numpy()
    rotation = poses.sample_orientation(gesture, rest_axis, rng)
    pose = np.zeros(48)
    pose[:3] = poses.rotation_vector(rotation)
    pose[3:] = fingers if model.flat_hand_mean else fingers - model.hands_mean.cpu().numpy()
    shape = rng.standard_normal(10).clip(-2, 2)

    device = model.v_template.device
    with torch.no_grad():
        out = model(_vector(pose)[None].to(device), _vector(shape)[None].to(device))
    hand, joints = out.vertices[0].cpu().numpy(), out.joints[0].cpu().numpy()
    K, translation = sample_camera(hand.astype(np.float64), size, rng)
    hand, joints = hand + translation, joints + translation

    occluder = None
    if grips:
        occluder = _held_thing(joints, rotation, radius, rng)
    elif rng.random() < occluders * (0.4 if free else 0.3):
        occluder = _standing_thing(hand, rng)

    forearm, upper = poses.sample_arm(rotation @ rest_axis, rotation @ rest_wide, rng)
    arm = ArmPose(_vector(forearm), _vector(upper))
    dress = rng.random()
    if dress < 0.55:
        arm.sleeve_start = float(rng.uniform(0.03, 0.16))
        arm.sleeve_gap = float(rng.uniform(0.002, 0.009))
        arm.folds = float(rng.uniform(0.001, 0.004))
    elif dress < 0.67:
        arm.sleeve_start = float(rng.uniform(0.02, 0.05))
        arm.sleeve_length = float(rng.uniform(0.006, 0.03))
        arm.sleeve_gap, arm.folds = 0.0015, 0.0
    cloth = rng.uniform(0.0, 0.9, 3) ** 1.6
    if rng.random() < 0.5:
        cloth = 0.25 * cloth + 0.75 * rng.choice([0.02, 0.06, 0.2, 0.5, 0.8])
    direction, key_size = sample_key_direction(rng)
    body = Body(
        pose=pose,
        shape=shape,
        translation=translation,
        K=K,
        size=size,
        arm=arm,
        tone=sample_tone(rng),
        sleeve_color=tuple(float(v) for v in cloth),
        sleeve_stripe=float(rng.uniform(0.2, 0.6)) if rng.random() < 0.2 else 0.0,
        occluder=occluder,
        seed=int(rng.integers(2**31)),
    )
    names = sample_backgrounds(split, versions, rng)
    seeds = rng.integers(2**31, size=versions)
    made = [Version(name, int(seed)) for name, seed in zip(names, seeds, strict=True)]
    return Scene(gesture, body, direction, key_size, made)
