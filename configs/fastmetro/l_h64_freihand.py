# FastMETRO-L, HRNet-W64, FreiHAND.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/freihand.py',
    '../_base_/models/fastmetro.py',
    '../_base_/schedules/fastmetro_200e.py',
]

train_dataloader = dict(batch_size=16)
val_dataloader = dict(batch_size=16)
test_dataloader = dict(batch_size=16)
