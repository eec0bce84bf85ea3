# RHD v2 in data/rhd: 3D joints, no mesh. The hand with more mask pixels; left hands are mirrored.
dataset_type = "RHD"
data_root = None  # found by handzoo.resources: data/rhd

load = [
    dict(type="LoadHandImage"),
    dict(type="BuildPrompt", mode="final"),
    dict(type="HandCrop", policy="joints", factor=1.25),
]
pack = dict(type="PackHandInputs", meta_keys=("joints_visible",))

train_pipeline = [
    *load,
    dict(type="RandomHandAffine", size=224, shift=0.05),
    dict(type="ColorJitter", channel_gain=0.4),
    pack,
]
test_pipeline = [*load, dict(type="HandAffine", size=224), pack]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="pseudo_collate"),
    dataset=dict(
        type=dataset_type, data_root=data_root, split="training", pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="pseudo_collate"),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split="evaluation",
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type="RHDMetric")
test_evaluator = val_evaluator
