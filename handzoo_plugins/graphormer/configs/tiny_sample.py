# A small MeshGraphormer of the same parts that trains on two CPU cores in minutes: narrow, random
# initialisation, crops of 128 pixels. For the bundled sample; not a model of the paper.
_base_ = 'handzoo::cliphand/tiny_sample.py'

image_size = 128
model = dict(
    _delete_=True,
    type='HandMeshEstimator',
    backbone=dict(type='graphormer/GridHRNet', name='hrnet_w18_small', pretrained=False),
    query_head=dict(type='graphormer/GraphormerQueries'),
    mesh_head=dict(
        type='graphormer/GraphormerHead',
        block_channels=(128, 64, 32),
        out_channels=(64, 32),
        num_layers=2,
        dropout=0.0,
    ),
    loss=dict(
        type='MetroLoss',
        vertices=500.0,
        coarse=500.0,
        joints3d=1000.0,
        joints2d=100.0,
        image_size=image_size,
    ),
)
