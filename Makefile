# Two commands set everything up: `make train` and `make test`. Both make .venv themselves, once.

# The first Python that the pinned versions have wheels for and that can make environments.
PYTHON ?= $(shell for python in python3.12 python3.11 python3.13 python3; do \
	$$python -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --only-binary=:all: -c constraints.txt
STAMP := $(VENV)/.ready
# `make train` is the main job, shortened so that it ends within ten minutes on two CPU cores:
# TIME_BUDGET minutes of training, then an evaluation and pictures. The whole job is
# `.venv/bin/python tools/train.py $(TRAIN_CONFIG)`.
TRAIN_CONFIG ?= configs/cliphand/s24_freihand.py
TIME_BUDGET ?= 4
TRAIN_ARGS ?= --amp --time-budget $(TIME_BUDGET)
PYTEST_ARGS ?=

.PHONY: train test test-slow lint clean

$(STAMP): constraints.txt setup.cfg setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "HandZoo needs Python 3.11 or later with the venv module \
	(Debian: apt install python3-venv), or name one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) setuptools wheel
	$(PIP) --no-build-isolation -e '.[test,export]'
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
