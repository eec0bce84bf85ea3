# A small PointHMR of the same parts that trains on two CPU cores in minutes: narrow, random
# initialisation, crops of 128 pixels. For the bundled sample; not a model of the paper.
_base_ = 'handzoo::cliphand/tiny_sample.py'

image_size = 128
model = dict(
    _delete_=True,
    type='HandMeshEstimator',
    backbone=dict(type='pointhmr/PointHRNet', name='hrnet_w18_small', pretrained=False),
    query_head=dict(type='pointhmr/PointSampling', channels=96, num_blocks=1),
    mesh_head=dict(
        type='pointhmr/ProgressiveMaskHead',
        position_channels=32,
        narrow_channels=64,
        feedforward_channels=(256, 128),
        num_layers=1,
        dropout=0.0,
        grid_tokens=(image_size // 32) ** 2,
    ),
    loss=[
        dict(
            type='MetroLoss',
            vertices=500.0,
            coarse=500.0,
            joints3d=1000.0,
            joints2d=100.0,
            image_size=image_size,
        ),
        dict(type='pointhmr/PointLoss', weight=1.0, image_size=image_size),
    ],
)
