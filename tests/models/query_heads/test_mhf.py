"""MHF as an expectation over positions, its sizes, and learned queries."""

import pytest
import torch

from handzoo.errors import ConfigError
from handzoo.models.query_heads import MHF, LearnedQueries
from handzoo.models.query_heads.mhf import sample_by_heatmap
from handzoo.testing.fixtures import make_features

CHANNELS = (16, 24, 32, 48)


@pytest.fixture
def head(topology):
    torch.manual_seed(0)
    return MHF(CHANNELS, 16, topology, channels=32, memory_tokens=4)


def test_a_delta_returns_that_pixels_feature_exactly():
    torch.manual_seed(0)
    values = torch.randn(2, 8, 5, 7)
    logits = torch.full((2, 3, 5, 7), -1e4)
    places = {(0, 0): (4, 6), (0, 1): (0, 0), (0, 2): (2, 3), (1, 0): (1, 5), (1, 1): (3, 0),
              (1, 2): (4, 1)}  # fmt: skip
    for (sample, index), (row, column) in places.items():
        logits[sample, index, row, column] = 1e4
    tokens = sample_by_heatmap(logits, values)
    for (sample, index), (row, column) in places.items():
        assert torch.equal(tokens[sample, index], values[sample, :, row, column])


def test_expectation_against_a_loop():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    values = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    wanted = torch.zeros(2, 3, 6, dtype=torch.float64)
    for b in range(2):
        for n in range(3):
            weights = logits[b, n].exp() / logits[b, n].exp().sum()
            for row in range(4):
                for column in range(5):
                    wanted[b, n] += weights[row, column] * values[b, :, row, column]
    torch.testing.assert_close(sample_by_heatmap(logits, values), wanted, rtol=1e-5, atol=1e-6)


def test_a_flat_heatmap_gives_the_mean():
    values = torch.randn(1, 4, 6, 6)
    tokens = sample_by_heatmap(torch.zeros(1, 2, 6, 6), values)
    torch.testing.assert_close(tokens, values.mean((2, 3))[:, None].expand(-1, 2, -1))


def test_queries_and_heatmaps(head):
    features = make_features(2, CHANNELS, 16, 64)
    output = head.train()(features)
    assert output.queries.shape == (2, 217, 32)
    assert {name: tuple(h.shape[1:]) for name, h in output.heatmaps.items()} == {
        "joints": (21, 16, 16), "vertices": (195, 16, 16),
        "joints_x2": (21, 32, 32), "vertices_x2": (195, 32, 32),
    }  # fmt: skip
    assert set(head.eval()(features).heatmaps) == {"joints", "vertices"}


def test_order_is_camera_joints_vertices(head):
    head.eval()
    features = make_features(1, CHANNELS, 16, 64)
    output = head(features)
    attention = head.attention_branch(features.high)
    for name, tokens in (("joints", output.queries[:, 1:22]), ("vertices", output.queries[:, 22:])):
        torch.testing.assert_close(tokens, sample_by_heatmap(output.heatmaps[name], attention))
    weight, bias = head.camera_token.weight[0], head.camera_token.bias
    pooled = (features.maps[-1].flatten(2) * weight).sum(-1) + bias
    torch.testing.assert_close(output.queries[:, 0], head.camera_channels(pooled))


def test_published_size(topology):
    with torch.device("meta"):
        head = MHF((64, 128, 320, 512), 64, topology)
    assert abs(sum(p.numel() for p in head.parameters()) / 1e6 - 8.89) < 0.01


def test_another_image_size_is_refused_by_name(head):
    with pytest.raises(ConfigError, match="memory_tokens: f4 has 16 cells.*built for 4"):
        head(make_features(1, CHANNELS, 16, 128))


def test_a_neck_is_needed(topology):
    with pytest.raises(ConfigError, match="neck=dict"):
        MHF(CHANNELS, None, topology)


def test_learned_queries_do_not_see_the_image(topology):
    head = LearnedQueries(topology, channels=32)
    first = head(make_features(2, CHANNELS, None, 64, seed=0))
    second = head(make_features(2, CHANNELS, None, 64, seed=9))
    assert first.heatmaps is None
    assert first.queries.shape == (2, 217, 32)
    assert torch.equal(first.queries, second.queries)
