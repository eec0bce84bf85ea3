# METRO's schedule for hands: Adam, 200 epochs, x0.1 at half; 32 images on each of 8 GPUs.
train_cfg = dict(type='HandTrainLoop', max_epochs=200, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='HandOptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.0),
)
param_scheduler = [dict(type='MultiStepLR', milestones=[100], gamma=0.1, by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=256)
