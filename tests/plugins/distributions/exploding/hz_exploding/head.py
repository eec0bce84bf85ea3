raise RuntimeError("this package is at odds with the installed libraries")
