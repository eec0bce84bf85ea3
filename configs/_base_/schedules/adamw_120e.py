# CLIP-Hand, section 4.2: AdamW, 1e-4, 120 epochs, divided by ten at 40 and 80. Batch size 8.
optim_wrapper = dict(type="HandOptimWrapper", optimizer=dict(type="AdamW", lr=1e-4))
param_scheduler = [dict(type="MultiStepLR", by_epoch=True, milestones=[40, 80], gamma=0.1)]
train_cfg = dict(type="HandTrainLoop", max_epochs=120, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
auto_scale_lr = dict(enable=False, base_batch_size=8)
