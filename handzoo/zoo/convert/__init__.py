"""Converters: checkpoints that a method's authors published -> checkpoints of HandZoo."""

from handzoo.zoo.convert.base import ConversionReport, Converter, Move, Plan
from handzoo.zoo.convert.fastmetro import FastMetroConverter
from handzoo.zoo.convert.metro import MetroConverter
from handzoo.zoo.convert.run import convert

__all__ = [
    "ConversionReport",
    "Converter",
    "FastMetroConverter",
    "MetroConverter",
    "Move",
    "Plan",
    "convert",
]
