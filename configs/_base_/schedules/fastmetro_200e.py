# FastMETRO's schedule for hands: AdamW, 200 epochs at a constant rate (its step comes at epoch
# 200), gradients clipped at 0.3; 16 images on each of 4 GPUs.
train_cfg = dict(type='HandTrainLoop', max_epochs=200, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='HandOptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.3),
)
param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=64)
