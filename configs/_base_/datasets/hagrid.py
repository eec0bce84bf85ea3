# HaGRID in data/hagrid (version 2's splits): gesture classes and boxes. Version 1 has the splits
# train_val (with part="train" or "val") and test.
dataset_type = "HaGRID"
data_root = None  # found by handzoo.resources: data/hagrid

load = [
    dict(type="LoadHandImage"),
    dict(type="BuildPrompt", mode="final"),
    dict(type="HandCrop", policy="box", factor=1.5),
]
pack = dict(type="PackHandInputs")

train_pipeline = [
    *load,
    dict(type="RandomHandAffine", size=224, rotation_std=10.0, rotation_max=20.0, shift=0.05),
    dict(type="ColorJitter", channel_gain=0.2, brightness=0.1, contrast=0.2),
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
    dataset=dict(type=dataset_type, data_root=data_root, split="train", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="pseudo_collate"),
    dataset=dict(
        type=dataset_type, data_root=data_root, split="val", test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="pseudo_collate"),
    dataset=dict(
        type=dataset_type, data_root=data_root, split="test", test_mode=True, pipeline=test_pipeline
    ),
)
