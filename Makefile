# Two commands set everything up: `make train` and `make test`. Both make .venv themselves, once.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
TRAIN_CONFIG ?= configs/cliphand/s24_freihand.py
TRAIN_ARGS ?= --amp --time-budget 5
PYTEST_ARGS ?= -m "not slow"

.PHONY: train test test-slow lint clean

$(STAMP): constraints.txt setup.cfg
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --only-binary=:all: -c constraints.txt setuptools wheel
	$(PY) -m pip install --only-binary=:all: -c constraints.txt --no-build-isolation -e '.[test,export]'
	touch $@

train: $(STAMP)
	$(PY) tools/train.py $(TRAIN_CONFIG) $(TRAIN_ARGS)

test: $(STAMP)
	$(PY) -m pytest $(PYTEST_ARGS)

test-slow: $(STAMP)
	$(PY) -m pytest -m slow

lint: $(STAMP)
	$(PY) -m ruff check .

clean:
	rm -rf $(VENV) build *.egg-info
