"""The ground floor: hands as geometry. Pure torch and numpy, nothing of MMEngine."""
