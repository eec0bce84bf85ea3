# A small CLIP-Hand of the same parts that trains usefully on two CPU cores in minutes: narrow,
# random initialisation, crops of 128 pixels. For the bundled sample; not a model of the paper.
_base_ = [
    "../_base_/models/cliphand.py",
    "../_base_/datasets/freihand.py",
    "../_base_/schedules/adamw_120e.py",
    "../_base_/default_runtime.py",
]
image_size = 128
model = dict(
    channels_last=True,
    backbone=dict(
        depths=(1, 1, 2, 1),
        widths=(32, 64, 128, 192),
        drop_path=0.0,
        layer_scale=0.1,
        pretrained=False,
    ),
    neck=dict(out_channels=32, layer_scale=0.1),
    # One scale of heatmaps: the second costs a third of a step on a CPU.
    query_head=dict(
        channels=128, num_blocks=1, memory_tokens=(image_size // 32) ** 2, two_scales=False
    ),
    mesh_head=dict(channels=(128, 64), feedforward=(256, 128), dropout=0.0, add_template=True),
    # Heatmaps sharpen ten times sooner with this weight; in minutes the paper's 1 is too little.
    loss=dict(image_size=image_size, heatmap=30.0),
)
load = [
    dict(type="LoadHandImage"),
    dict(type="BuildPrompt", mode="final"),
    dict(type="HandCrop", policy="fixed", size=180),
]
pack = dict(type="PackHandInputs", meta_keys=("hand_scale",))
train_pipeline = [
    *load,
    dict(type="RandomHandAffine", size=image_size),
    dict(type="ColorJitter", channel_gain=0.4),
    pack,
]
test_pipeline = [*load, dict(type="HandAffine", size=image_size), pack]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=16, num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type="HandMetric", input_size=image_size)
test_evaluator = val_evaluator

optim_wrapper = dict(
    optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=100.0)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(type="CosineAnnealingLR", by_epoch=True, T_max=16, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=16, val_interval=4)
# After alignment a hand that hardly differs from the mean is good; it is early epochs that make it.
default_hooks = dict(checkpoint=dict(save_best="MPJPE"))
