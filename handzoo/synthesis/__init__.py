"""From scenes to a data set: hands posed, dressed in skin, lit, composed and annotated.

:func:`handzoo.synthesis.generate.synthesize` makes a data set in FreiHAND's layout; the rest is
its chain: scene (what is in a picture), render (geometry to fragments), skin and shading (how
they look), compose (backgrounds and camera), writer (files).
"""
