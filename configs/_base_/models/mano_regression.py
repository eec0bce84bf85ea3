# Hand-model parameters from a pooled ResNet-50: the family of MANO CNN, Hasson, HMR, FrankMocap.
model = dict(
    type='HandMeshEstimator',
    backbone=dict(type='TimmBackbone', name='resnet50'),
    mesh_head=dict(
        type='ManoRegressionHead',
        rotation='axis_angle',
        channels=(1024, 1024),
        dropout=0.5,
        iterations=1,
    ),
    loss=[
        dict(type='HandLoss', vertices=1000.0, joints3d=1000.0, joints2d=100.0, heatmap=0.0),
        dict(type='ManoParameterLoss', pose=10.0, shape=0.1, shape_prior=0.01),
    ],
)
