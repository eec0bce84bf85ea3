raise RuntimeError("code of an incompatible plugin must never run")
