# FastMETRO-L, HRNet-W64, RHD.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/rhd.py',
    '../_base_/models/fastmetro.py',
    '../_base_/schedules/fastmetro_200e.py',
]

train_dataloader = dict(batch_size=16)
val_dataloader = dict(batch_size=16)
test_dataloader = dict(batch_size=16)
