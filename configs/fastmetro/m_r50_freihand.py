# FastMETRO-M, ResNet-50, FreiHAND.
_base_ = './m_h64_freihand.py'

model = dict(backbone=dict(_delete_=True, type='TimmBackbone', name='resnet50'))
