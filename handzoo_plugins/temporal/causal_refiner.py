"""A learned filter: a small causal network over the last sixteen predictions of a hand.

CLIP-Hand's conclusion names temporal features as future work; this adds them behind any
estimator, without touching it.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np
import torch

from handzoo.apis.filters import HandState, PredictionFilter
from handzoo.engine.checkpoint import read_checkpoint
from handzoo.errors import CheckpointError
from handzoo.hands.conventions import BONES, NUM_JOINTS
from handzoo.hands.topology import HandTopology
from handzoo_plugins.temporal.network import WINDOW, CausalNetwork

WEIGHTS = Path(__file__).parent / "weights" / "causal_refiner.safetensors"


def vertex_weights(vertices: np.ndarray, joints: np.ndarray, reach: float = 0.012) -> np.ndarray:
    """How far each vertex goes along with each joint.

    A vertex follows the bones near it (a Gaussian of its distance, over the nearest), and on a
    bone the joints at its ends, in proportion to where along the bone it lies: if the ends of a
    bone move as by a small rotation, so does the flesh around it.

    Args:
        vertices: (N, 3) template, metres. joints: (21, 3) its joints.
        reach: standard deviation of the Gaussian, metres.

    Returns:
        (N, 21), rows sum to one.
    """
    parents, children = (np.array(ends) for ends in zip(*BONES, strict=True))
    start, along = joints[parents], joints[children] - joints[parents]
    offset = vertices[:, None] - start[None]
    where = np.clip((offset * along).sum(-1) / (along**2).sum(-1), 0, 1)
    squared = ((offset - where[..., None] * along) ** 2).sum(-1)
    near = np.exp(-(squared - squared.min(1, keepdims=True)) / (2 * reach**2))
    near /= near.sum(1, keepdims=True)
    weights = np.zeros((len(vertices), NUM_JOINTS))
    np.add.at(weights.T, parents, (near * (1 - where)).T)
    np.add.at(weights.T, children, (near * where).T)
    return weights


class CausalRefiner(PredictionFilter):
    """Adds to each frame what a causal network makes of the last sixteen.

    The network moves joints and camera; the mesh goes along with the joints around it. It is
    trained on motions of the bundled hand with an assumed noise (``train.py``), so its gain on the
    errors of a real estimator has to be measured there.

    Args:
        topology: template whose vertices are tied to the joints.
        weights: a file of ``train.py``; the shipped one if None.
        strength: 0 (nothing is changed) to 1.
        max_gap: seconds without a frame after which the past does not count.

    Raises:
        CheckpointError: the weights do not fit.
    """

    source = "CLIP-Hand, section 5 (future work); HandZoo"

    def __init__(
        self,
        topology: HandTopology,
        weights: str | None = None,
        strength: float = 1.0,
        max_gap: float = 0.25,
    ) -> None:
        self.strength, self.max_gap = strength, max_gap
        self.network = load_network(weights or WEIGHTS)
        root = topology.template_joints[:1]
        self.follow = vertex_weights(
            (topology.template - root).double().numpy(),
            (topology.template_joints - root).double().numpy(),
        )
        self.window: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=WINDOW)
        self.time: float | None = None

    def reset(self) -> None:
        """Forget every frame."""
        self.window.clear()
        self.time = None

    @torch.no_grad()
    def __call__(self, hand: HandState, timestamp: float) -> HandState:
        """Refine the hand of one frame; the first frame passes as it is."""
        dt = 0.0 if self.time is None else timestamp - self.time
        if dt > self.max_gap:
            self.window.clear()
        self.time = timestamp
        camera = hand.camera.astype(np.float64)
        camera[0] = np.log(camera[0])
        self.window.append((hand.joints.astype(np.float32), camera.astype(np.float32), dt))
        joints, cameras, steps = zip(*self.window, strict=True)
        added = self.network(
            torch.from_numpy(np.stack(joints))[None],
            torch.from_numpy(np.stack(cameras))[None],
            torch.tensor(steps, dtype=torch.float32)[None],
        )
        moved, shifted = (self.strength * part[0, -1].double().numpy() for part in added)
        camera = camera + shifted
        camera[0] = np.exp(np.clip(camera[0], -30, 30))
        return HandState(
            (hand.joints + moved).astype(hand.joints.dtype),
            (hand.vertices + self.follow @ moved).astype(hand.vertices.dtype),
            camera.astype(hand.camera.dtype),
        )


def load_network(path: str | Path) -> CausalNetwork:
    """Read a network as ``train.py`` writes it.

    Raises:
        CheckpointError: the file is missing or damaged, or holds something else.
    """
    state = read_checkpoint(path).state_dict
    if "out.weight" not in state:
        raise CheckpointError(f"{path}: holds no weights of a CausalRefiner.")
    network = CausalNetwork(state["out.weight"].shape[1])
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: does not fit a CausalRefiner: {error}") from error
    return network.eval().requires_grad_(False)
