"""Samples stack to targets; predictions slice and move as one."""

import copy
import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import torch

from handzoo.errors import DataError
from handzoo.structures import HandDataSample, HandPrediction, HandTargets, empty_annotation


def make_sample(**changes):
    fields = empty_annotation()
    fields.update({key: value for key, value in changes.items() if torch.is_tensor(value)})
    return HandDataSample(metainfo=dict(img_path="a.jpg", prompt="a hand"), **fields)


def test_targets_stack_every_field_and_the_prompts():
    samples = [make_sample(root=torch.full((3,), float(index))) for index in range(3)]
    targets = HandTargets.from_samples(samples)
    assert len(targets) == 3 and targets.prompts == ["a hand"] * 3
    assert targets.root[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert targets.joints3d_valid.dtype == torch.bool and not targets.joints3d_valid.any()
    assert targets.view2_image is None
    assert targets.gesture.tolist() == [-1] * 3


def test_a_missing_field_is_named_with_its_picture():
    broken = make_sample()
    del broken.K
    with pytest.raises(DataError, match=r"a\.jpg has no field 'K'"):
        HandTargets.from_samples([make_sample(), broken])
    with pytest.raises(DataError, match="empty batch"):
        HandTargets.from_samples([])


def test_a_second_view_must_be_in_all_samples_or_in_none():
    with_view = make_sample(
        view2_image=torch.zeros(3, 4, 4, dtype=torch.uint8),
        view2_rotation=torch.zeros(()),
        view2_scale=torch.ones(()),
    )
    assert HandTargets.from_samples([with_view]).view2_image.shape == (1, 3, 4, 4)
    with pytest.raises(DataError, match="view2_image"):
        HandTargets.from_samples([with_view, make_sample()])


def test_prediction_slices_casts_and_detaches_all_tensors():
    weight = torch.ones(2, 3, requires_grad=True)
    prediction = HandPrediction(
        camera=weight * 2,
        joints=torch.rand(2, 21, 3),
        vertices=torch.rand(2, 778, 3),
        joints_from_vertices=torch.rand(2, 21, 3),
        heatmaps={"joints": torch.rand(2, 21, 4, 4)},
    )
    last = prediction[-1]
    assert len(last) == 1 and last.heatmaps["joints"].shape[0] == 1
    assert last.coarse_vertices is None
    torch.testing.assert_close(last.joints[0], prediction.joints[1])
    assert prediction.camera.requires_grad and not prediction.detach().camera.requires_grad
    assert prediction.to(torch.float64).heatmaps["joints"].dtype == torch.float64


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_sample_survives_copying_and_pickling(duplicate):
    fields = empty_annotation()
    fields["vertices"] = torch.randn(778, 3)
    fields["gesture"] = torch.tensor(4)
    sample = HandDataSample(metainfo=dict(sample_id=3, prompt="a hand"), **fields)
    sample.pred_joints = torch.randn(21, 3, requires_grad=True)
    again = duplicate(sample)
    assert again.metainfo == sample.metainfo
    assert set(again.keys()) == set(sample.keys())  # BaseDataElement keeps a set: no order
    for name, value in sample.items():
        assert torch.equal(again.get(name), value), name
        assert again.get(name).dtype == value.dtype
    again.vertices += 1  # its own memory, and writable
    assert not torch.equal(again.vertices, sample.vertices)


def test_sample_leaves_a_worker_without_shared_memory_files():
    sample = HandDataSample(**empty_annotation())
    # This is the pickler of DataLoader's workers; it would replace tensors by file handles.
    data = bytes(ForkingPickler.dumps(sample))
    assert b"rebuild_storage" not in data and b"rebuild_tensor" not in data
