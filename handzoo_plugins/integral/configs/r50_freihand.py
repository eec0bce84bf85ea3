# Integral regression with ResNet-50 on FreiHAND, 224 x 224.
_base_ = [
    "handzoo::_base_/datasets/freihand.py",
    "handzoo::_base_/schedules/adamw_120e.py",
    "handzoo::_base_/default_runtime.py",
]

model = dict(
    type="HandMeshEstimator",
    backbone=dict(type="TimmBackbone", name="resnet50"),
    mesh_head=dict(type="integral/IntegralHead", channels=256, stride=4),
    loss=dict(type="HandLoss", vertices=1000.0, joints3d=10000.0, joints2d=100.0, heatmap=10.0),
)
train_dataloader = dict(batch_size=32)
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)
auto_scale_lr = dict(base_batch_size=32)
