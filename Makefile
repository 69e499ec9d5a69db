# A thin front: each target is one line that can be typed as well (see README.md).
PYTHON ?= python3
CORES ?= 2
PRESET ?=

ifneq ($(PRESET),)
ifeq ($(wildcard presets/$(PRESET).yaml),)
$(error PRESET=$(PRESET) is unknown; choose one of: $(basename $(notdir $(wildcard presets/*.yaml))), or leave it out)
endif
overlay = presets/$(PRESET).yaml
endif

.PHONY: figures test bench

figures: .venv/installed
	.venv/bin/snakemake --cores $(CORES) --configfile config.yaml $(overlay)

test: .venv/installed
	.venv/bin/pytest

bench: .venv/installed
	.venv/bin/python -m benchmarks $(RUN)

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: $(PYTHON) is Python %d.%d; 3.11 or newer is needed, give its name: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --require-hashes -r requirements.lock
	touch $@
