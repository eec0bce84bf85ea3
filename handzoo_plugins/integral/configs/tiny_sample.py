# A small network for integral regression that trains on one CPU core in an hour: narrow ResNet-18,
# random initialisation, crops of 96 pixels. With the bundled sample and the bundled hand, whatever
# else there is, since its published weights know no other; not a model of a paper.
_base_ = [
    "handzoo::_base_/datasets/freihand.py",
    "handzoo::_base_/schedules/adamw_120e.py",
    "handzoo::_base_/default_runtime.py",
]

image_size = 96
model = dict(
    type="HandMeshEstimator",
    channels_last=True,
    hand_model=dict(type="bundled"),
    backbone=dict(
        type="TimmBackbone",
        name="resnet18",
        pretrained=False,
        options=dict(channels=(32, 64, 128, 256), stem_type="deep", stem_width=8),
    ),
    mesh_head=dict(type="integral/IntegralHead", channels=96),
    loss=dict(
        type="HandLoss",
        vertices=500.0,
        joints3d=10000.0,
        joints2d=50.0,
        heatmap=5.0,
        image_size=image_size,
    ),
)

load = [
    dict(type="LoadHandImage"),
    dict(type="BuildPrompt", mode="final"),
    dict(type="HandCrop", policy="fixed", size=180),
]
pack = dict(type="PackHandInputs", meta_keys=("hand_scale",))
train_pipeline = [
    *load,
    dict(type="RandomHandAffine", size=image_size, rotation_prob=0.6),
    dict(type="ColorJitter", channel_gain=0.4),
    pack,
]
test_pipeline = [*load, dict(type="HandAffine", size=image_size), pack]
train_dataloader = dict(
    batch_size=16, num_workers=1, dataset=dict(data_root="bundled", pipeline=train_pipeline)
)
val_dataloader = dict(
    batch_size=50, num_workers=1, dataset=dict(data_root="bundled", pipeline=test_pipeline)
)
test_dataloader = val_dataloader
val_evaluator = dict(type="HandMetric", input_size=image_size)
test_evaluator = val_evaluator

optim_wrapper = dict(
    optimizer=dict(lr=1e-3, weight_decay=0.01, fused=True), clip_grad=dict(max_norm=100.0)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", by_epoch=True, T_max=480, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=480, val_interval=20)
# An epoch is seven seconds.
default_hooks = dict(checkpoint=dict(interval=20), visualization=dict(interval=10))
