# `make` lists the targets. Every target sets up what it needs first; a second time that is quick.

ENGINE ?= pytorch
PYTEST_ARGS ?=
PY := .venv/bin/python

# More threads than free cores make training many times slower (OpenMP spins).
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest $(PYTEST_ARGS)

# An empty environment has no PATH, and then make finds nothing. Database servers live in sbin.
PATH ?= /usr/local/bin:/usr/bin:/bin
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check-real drills bench lint docs

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

setup:  ## install what is missing into .venv (PYTHON=... picks the interpreter)
	@bash scripts/setup.sh

demo: setup  ## train, evaluate and run a model on rendered videos (ENGINE=pytorch)
	$(PY) -m workflow_deeplabcut.demo --engine $(ENGINE)

test: setup  ## run every test (PYTEST_ARGS=... are handed on)
	$(PYTEST)

test-fast: setup  ## run the daily subset: no real DeepLabCut, no killed processes
	$(PYTEST) -m "not dlc and not slow"

check-real: setup  ## train on a real mouse and analyze its whole video (minutes)
	$(PYTEST) -s tests/real

drills: setup  ## put workers under a thousand faults and audit what is left (10 minutes)
	OMP_NUM_THREADS=1 $(PY) -m tests.drills

bench: setup  ## measure dispatch of jobs and drawing of videos, as ratios
	OMP_NUM_THREADS=1 $(PY) benchmarks/dispatch.py
	OMP_NUM_THREADS=1 $(PY) benchmarks/labeled_video.py

lint: setup  ## check style, format and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: setup  ## build the documentation into site/ (needs no network)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
