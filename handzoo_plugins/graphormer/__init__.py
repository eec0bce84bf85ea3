"""MeshGraphormer: METRO's tokens, the image's grid beside them, and convolution over the mesh."""
