"""Fixtures of the first-party plugins' tests: the bundled hand and its topology."""

import pytest

from handzoo.hands.models import build_hand_model
from handzoo.hands.topology import build_topology


@pytest.fixture(scope="session")
def hand():
    return build_hand_model("bundled", tips="metro")


@pytest.fixture(scope="session")
def topology(hand):
    return build_topology(hand)


@pytest.fixture(scope="session")
def neighbours(topology):
    """For each coarse vertex the vertices that share a face with it, and itself."""
    near = [{vertex} for vertex in range(topology.num_coarse)]
    for face in topology.coarse_faces.tolist():
        for corner in face:
            near[corner].update(face)
    return near
