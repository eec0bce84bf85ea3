# MeshGraphormer, HRNet-W64, FreiHAND: Lin et al., "Mesh Graphormer", ICCV 2021. Sizes, losses and
# schedule as in its released training script for hands, which takes the rest from METRO's.
_base_ = [
    'handzoo::_base_/default_runtime.py',
    'handzoo::_base_/datasets/freihand.py',
    'handzoo::_base_/schedules/metro_200e.py',
]

model = dict(
    type='HandMeshEstimator',
    hand_model=dict(type='auto', tips='metro'),
    topology=dict(source='metro'),
    backbone=dict(type='graphormer/GridHRNet', name='hrnet_w64'),
    query_head=dict(type='graphormer/GraphormerQueries', template_tips='manopth', mask_ratio=0.0),
    mesh_head=dict(
        type='graphormer/GraphormerHead',
        block_channels=(1024, 256, 64),
        out_channels=(512, 128),
        num_layers=4,
        num_heads=4,
        feedforward_ratio=2.0,
        graph_blocks=(2,),
        dropout=0.1,
    ),
    loss=dict(
        type='MetroLoss', vertices=0.5, coarse=0.5, joints3d=1.0, joints2d=1.0, joints_norm='l2'
    ),
)

train_dataloader = dict(batch_size=32)
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)
