# PointHMR, HRNet-W32, FreiHAND: Kim et al., "Sampling is Matter: Point-guided 3D Human Mesh
# Reconstruction", CVPR 2023. Sizes and weights of losses as in its released code, which is for
# bodies: three levels of the mesh share the weight of the vertices there, and two here.
_base_ = [
    'handzoo::_base_/default_runtime.py',
    'handzoo::_base_/datasets/freihand.py',
    'handzoo::_base_/schedules/metro_200e.py',
]

model = dict(
    type='HandMeshEstimator',
    hand_model=dict(type='auto', tips='metro'),
    topology=dict(source='metro'),
    backbone=dict(type='pointhmr/PointHRNet', name='hrnet_w32'),
    query_head=dict(type='pointhmr/PointSampling', channels=512, num_blocks=2),
    mesh_head=dict(
        type='pointhmr/ProgressiveMaskHead',
        position_channels=128,
        narrow_channels=128,
        feedforward_channels=(1024, 512),
        hops=(7, 5, 3, 1),
        num_layers=2,
        num_heads=4,
        dropout=0.1,
    ),
    loss=[
        dict(
            type='MetroLoss',
            vertices=50.0,
            coarse=50.0,
            joints3d=1000.0,
            joints2d=100.0,
            joints_norm='l2',
        ),
        dict(type='pointhmr/PointLoss', weight=10.0),
    ],
)

train_dataloader = dict(batch_size=30)
val_dataloader = dict(batch_size=30)
test_dataloader = dict(batch_size=30)
auto_scale_lr = dict(base_batch_size=60)
