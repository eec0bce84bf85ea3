# What every run has: hooks, seed, logging. A method's config adds model, data and schedule.

default_scope = 'handzoo'
randomness = dict(seed=0, deterministic=False)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
)
log_level = 'INFO'
log_processor = dict(type='LogProcessor', window_size=20, by_epoch=True)

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    param_scheduler=dict(type='ParamSchedulerHook'),
    logger=dict(type='HandLoggerHook', interval=10),
    progress=dict(type='ProgressHook'),
    guard=dict(type='FiniteGuardHook', patience=20),
    stop=dict(type='GracefulStopHook'),
    checkpoint=dict(type='HandCheckpointHook', interval=1, minutes=30.0, save_best='auto'),
    results=dict(type='MetricsFileHook'),
    visualization=dict(type='HandVisualizationHook', num_samples=8),
)
visualizer = dict(
    type='HandVisualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
)
