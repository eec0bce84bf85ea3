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
    # Places: from so few samples, where a token comes from is not learnt by itself.
    query_head=dict(
        channels=128,
        num_blocks=1,
        memory_tokens=(image_size // 32) ** 2,
        two_scales=False,
        places=True,
    ),
    mesh_head=dict(channels=(128, 64), feedforward=(256, 128), dropout=0.0, add_template=True),
    # In an hour on one core the paper's weights are too little for heatmaps, which sharpen ten
    # times sooner with this one, and for joints, whose squared error in metres is small beside the
    # mesh's L1 as soon as it is a few centimetres.
    loss=dict(image_size=image_size, heatmap=30.0, joints3d=20000.0),
)
load = [
    dict(type="LoadHandImage"),
    dict(type="BuildPrompt", mode="final"),
    dict(type="HandCrop", policy="fixed", size=180),
]
pack = dict(type="PackHandInputs", meta_keys=("hand_scale",))
train_pipeline = [
    *load,
    # The sample's cameras already see hands from everywhere; METRO's 90 degrees take longer.
    dict(type="RandomHandAffine", size=image_size, rotation_std=45.0, rotation_prob=0.6),
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
    optimizer=dict(lr=1e-3, betas=(0.9, 0.99)), clip_grad=dict(max_norm=100.0)
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.05, by_epoch=False, begin=0, end=30),
    dict(type="CosineAnnealingLR", by_epoch=True, T_max=40, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=40, val_interval=5)
