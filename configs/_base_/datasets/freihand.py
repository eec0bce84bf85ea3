# FreiHAND v2 in data/freihand, or the bundled sample where it is not there.
# METRO's crop and augmentation (docs/paper_notes.md).
dataset_type = "FreiHAND"
data_root = None  # found by handzoo.resources: data/freihand, else the bundled sample

load = [
    dict(type="LoadHandImage"),
    dict(type="BuildPrompt", mode="final"),
    dict(type="HandCrop", policy="fixed", size=180),
]
pack = dict(type="PackHandInputs", meta_keys=("hand_scale",))

train_pipeline = [
    *load,
    dict(type="RandomHandAffine", size=224),
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

val_evaluator = dict(type="HandMetric")
test_evaluator = val_evaluator
