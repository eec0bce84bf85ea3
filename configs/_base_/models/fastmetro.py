# FastMETRO-L with HRNet-W64: Cho et al., "Cross-Attention of Disentangled Modalities for 3D Human
# Mesh Recovery with Transformers", ECCV 2022; sizes and losses as in its script for hands.
model = dict(
    type='HandMeshEstimator',
    hand_model=dict(type='auto', tips='metro'),
    topology=dict(source='metro'),
    backbone=dict(type='TimmBackbone', name='hrnet_w64', final_features=True),
    query_head=dict(type='LearnedQueries', channels=512),
    mesh_head=dict(
        type='FastMetroHead',
        stage_channels=(512, 128),
        feedforward_channels=(2048, 512),
        num_layers=3,
        num_heads=8,
        dropout=0.1,
        max_hops=1,
    ),
    loss=[
        dict(
            type='MetroLoss',
            vertices=50.0,
            coarse=50.0,
            joints3d=1000.0,
            joints2d=100.0,
            joints_norm='l1',
            relative_mesh=True,
        ),
        dict(type='MeshShapeLoss', edge=100.0, normal=10.0),
    ],
)
