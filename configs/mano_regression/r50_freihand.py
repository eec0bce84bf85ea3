# After MANO CNN (Zimmermann et al., ICCV 2019): 61 numbers at once, pose as axis-angle.
_base_ = [
    '../_base_/models/mano_regression.py',
    '../_base_/datasets/freihand.py',
    '../_base_/schedules/adamw_120e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=32)
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)
auto_scale_lr = dict(base_batch_size=32)
