"""Motions of the bundled hand, and what a predictor would make of them.

Motions are minimum-jerk moves (Flash and Hogan 1985) between natural poses within the joint
limits, with rests between. The noise is assumed, not measured: correlated jitter, slow drift
and outliers in the angles of the joints and the wrist, so that mesh and joints err together,
plus jitter of single joints. Everything is drawn from one generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from handzoo.hands.articulation import bundled_articulation, random_pose
from handzoo.hands.models import HandModel
from handzoo_plugins.temporal.causal_refiner import vertex_weights

_TWIST_AND_SPREAD = np.array([1.0, 0.25, 0.25])  # noise of flexion, abduction, twist
_DEPTH = np.array([1.0, 1.0, 1.6])  # a single image knows depth least


@dataclass
class Clip:
    """A motion and its predictions.

    Attributes:
        times: (T,) seconds.
        joints, noisy_joints: (T, 21, 3) metres, relative to the wrist.
        vertices, noisy_vertices: (T, 778, 3) likewise; None where not asked for.
        camera, noisy_camera: (T, 3) as (log s, u, v).
    """

    times: np.ndarray
    joints: np.ndarray
    noisy_joints: np.ndarray
    camera: np.ndarray
    noisy_camera: np.ndarray
    vertices: np.ndarray | None = None
    noisy_vertices: np.ndarray | None = None


def minimum_jerk(phase: np.ndarray) -> np.ndarray:
    """0 to 1 with velocity and acceleration zero at both ends; ``phase`` is clipped to [0, 1]."""
    p = np.clip(phase, 0, 1)
    return p**3 * (10 + p * (6 * p - 15))


def schedule(rng: np.random.Generator, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moves of 0.25 to 1.2 s with rests of up to 0.8 s: key before each time, and how far on."""
    begins, ends = [], []
    clock = times[0] - rng.uniform(0, 1)
    while clock < times[-1]:
        rest = rng.uniform(0, 0.8) if rng.random() < 0.6 else 0.0
        begins.append(clock + rest)
        clock = begins[-1] + rng.uniform(0.25, 1.2)
        ends.append(clock)
    begins, ends = np.array(begins), np.array(ends)
    key = np.clip(np.searchsorted(ends, times), 0, len(ends) - 1)
    return key, minimum_jerk((times - begins[key]) / (ends[key] - begins[key]))


def _between(keys: np.ndarray, key: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weight = weight.reshape(-1, *[1] * (keys.ndim - 1))
    return keys[key] + weight * (keys[key + 1] - keys[key])


def _angles(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """(T, 15, 3) flexion, abduction, twist; a convex mixture of poses stays within the limits."""
    key, weight = schedule(rng, times)
    hand = bundled_articulation()
    keys = [hand.decompose(random_pose(rng, tries=8)) for _ in range(key.max() + 2)]
    return _between(np.stack(keys), key, weight)


def _orientations(rng: np.random.Generator, times: np.ndarray) -> Rotation:
    key, weight = schedule(rng, times)
    turns = [Rotation.random(random_state=int(rng.integers(2**31)))]
    for _ in range(key.max() + 1):
        turns.append(Rotation.from_rotvec(rng.normal(0, 0.45, 3)) * turns[-1])
    first = Rotation.concatenate([turns[k] for k in key])
    second = Rotation.concatenate([turns[k + 1] for k in key])
    return Rotation.from_rotvec(weight[:, None] * (second * first.inv()).as_rotvec()) * first


def _cameras(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    key, weight = schedule(rng, times)
    low, high = [np.log(2.5), -0.6, -0.5], [np.log(6.0), 0.6, 0.5]
    return _between(rng.uniform(low, high, (key.max() + 2, 3)), key, weight)


def wander(
    rng: np.random.Generator, times: np.ndarray, size: tuple[int, ...], memory: float
) -> np.ndarray:
    """(T, *size) of unit variance whose correlation falls to 1/e within ``memory`` seconds."""
    noise = rng.standard_normal((len(times), *size))
    for t in range(1, len(times)):
        kept = np.exp(-(times[t] - times[t - 1]) / memory)
        noise[t] = kept * noise[t - 1] + np.sqrt(1 - kept**2) * noise[t]
    return noise


def _bursts(rng: np.random.Generator, times: np.ndarray, rate: float) -> list[slice]:
    """Runs of one to three frames, ``rate`` a second on average."""
    count = rng.poisson(rate * (times[-1] - times[0]))
    starts = rng.integers(0, len(times), count)
    return [slice(int(t), int(t + rng.integers(1, 4))) for t in starts]


def make_clip(
    rng: np.random.Generator, hand: HandModel, frames: int = 96, mesh: bool = False
) -> Clip:
    """Draw one clip.

    Args:
        rng: the only source of randomness.
        hand: bundled hand with ``flat_hand_mean``.
        frames: how many, at 15 to 60 a second.
        mesh: keep the vertices.
    """
    fps = rng.choice([15.0, 24.0, 25.0, 30.0, 30.0, 30.0, 50.0, 60.0])
    times = np.arange(frames) / fps
    angles, turns, camera = _angles(rng, times), _orientations(rng, times), _cameras(rng, times)
    shape = rng.normal(0, 0.7, 10).clip(-2, 2)
    vertices, joints = _skin(hand, angles, turns, shape)

    quality = rng.uniform(0.5, 1.5)  # some predictors, and some films, are worse than others
    memory = rng.uniform(0.01, 0.1)
    jitter = 0.06 * wander(rng, times, (15, 3), memory) + 0.08 * wander(rng, times, (15, 3), 1.0)
    twist = 0.035 * wander(rng, times, (3,), memory) + 0.05 * wander(rng, times, (3,), 1.0)
    shake = np.array([0.012, 0.004, 0.004]) * wander(rng, times, (3,), memory)
    for burst in _bursts(rng, times, 0.4):  # a finger is taken for another, or bent
        finger = int(rng.integers(5))
        jitter[burst, 3 * finger : 3 * finger + 3, 0] += rng.choice([-1, 1]) * rng.uniform(0.4, 1)
    for burst in _bursts(rng, times, 0.2):  # the whole hand is misread
        twist[burst] += rng.normal(0, 0.25, 3)
        shake[burst] += rng.normal(0, 1, 3) * [0.06, 0.02, 0.02]
    noisy_angles = angles + quality * jitter * _TWIST_AND_SPREAD
    noisy_turns = Rotation.from_rotvec(quality * twist) * turns
    noisy_shape = shape + rng.normal(0, 0.5, 10)
    noisy_vertices, noisy_joints = _skin(hand, noisy_angles, noisy_turns, noisy_shape)
    single = 0.0015 * quality * wander(rng, times, (21, 3), memory) * _DEPTH
    single[:, 0] = 0
    noisy_joints = noisy_joints + single
    clip = Clip(times, joints, noisy_joints, camera, camera + quality * shake)
    if mesh:
        template, rest = _template(hand)
        clip.vertices = vertices
        clip.noisy_vertices = noisy_vertices + vertex_weights(template, rest) @ single
    return clip


def _template(hand: HandModel) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        posed = hand(torch.cat((torch.zeros(1, 3), hand.hands_mean[None]), dim=1))
    return posed.vertices[0].double().numpy(), posed.joints[0].double().numpy()


@torch.no_grad()
def _skin(
    hand: HandModel, angles: np.ndarray, turns: Rotation, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (T, 778, 3) and joints (T, 21, 3), relative to the wrist, float32."""
    articulation = bundled_articulation()
    poses = np.stack([articulation.compose(*frame.T) for frame in angles])
    pose = torch.from_numpy(np.concatenate((turns.as_rotvec(), poses), axis=1)).float()
    posed = hand(pose, torch.from_numpy(shape).float()[None].expand(len(pose), -1))
    wrist = posed.joints[:, :1]
    return (posed.vertices - wrist).numpy(), (posed.joints - wrist).numpy()
