# Dexter+Object in data/dexter_object: finger tips of a left hand, for testing only. Without a box
# file the crop comes from the projected tips (factor 2.2, as Boukhayma et al.): it knows the
# answer.
dataset_type = "DexterObject"
data_root = None  # found by handzoo.resources: data/dexter_object

test_pipeline = [
    dict(type="LoadHandImage"),
    dict(type="BuildPrompt", mode="final"),
    dict(type="HandCrop", policy="box", factor=2.2),
    dict(type="HandAffine", size=224),
    dict(type="PackHandInputs", meta_keys=("root_joint",)),
]

test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="pseudo_collate"),
    dataset=dict(type=dataset_type, data_root=data_root, pipeline=test_pipeline),
)
test_evaluator = dict(type="DexterObjectMetric")
