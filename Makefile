# `make` lists the targets. Every target sets up what it needs first; a second time that is quick.

ENGINE ?= pytorch
PYTEST_ARGS ?=
BENCH_ARGS ?=
PY := .venv/bin/python

# More threads than free cores make training many times slower (OpenMP spins).
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest $(PYTEST_ARGS)

# An empty environment has no PATH, and then make finds nothing. Database servers live in sbin.
PATH ?= /usr/local/bin:/usr/bin:/bin
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.DEFAULT_GOAL := help

# Programs that only a check needs are installed by it.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -n)
APT_INSTALL := env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends

.PHONY: help setup demo test test-fast check-real check-docker check-slurm drills bench lint docs diagrams

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

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

check-docker: setup  ## build and run the images without Docker, as root (20 minutes, 15 GB)
	@command -v debootstrap >/dev/null || { $(AS_ROOT) apt-get -qq update; $(AS_ROOT) $(APT_INSTALL) debootstrap; }
	$(AS_ROOT) env CHECK_DOCKER=$${CHECK_DOCKER:-yes} OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 \
		$(PY) -m pytest -p no:cacheprovider tests/docker $(PYTEST_ARGS)

check-slurm: setup  ## run the workers' Slurm script on a real Slurm of one node (minutes)
	@{ command -v slurmctld && command -v munged; } >/dev/null || { $(AS_ROOT) apt-get -qq update; $(AS_ROOT) $(APT_INSTALL) slurm-wlm munge; }
	$(PYTEST) tests/workflow/worker/test_slurm.py

drills: setup  ## put workers under a thousand faults and audit what is left (10 minutes)
	OMP_NUM_THREADS=1 $(PY) -m tests.drills

bench: setup  ## measure loading, reading, inference and drawing beside doing without (BENCH_ARGS=...)
	$(PY) -m benchmarks $(BENCH_ARGS)

lint: setup  ## check style, format and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: setup  ## build the documentation into site/ (needs no network)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

diagrams: setup  ## draw the diagrams in images/ from what is declared
	$(PY) scripts/draw_diagrams.py
