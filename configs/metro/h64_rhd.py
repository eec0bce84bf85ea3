# METRO, HRNet-W64, RHD.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/rhd.py',
    '../_base_/models/metro.py',
    '../_base_/schedules/metro_200e.py',
]

train_dataloader = dict(batch_size=32)
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)
