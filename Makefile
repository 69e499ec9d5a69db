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

.PHONY: figures test test-fast bench test-slurm test-conda drill-kill drill-time-limit

figures: .venv/installed
	.venv/bin/snakemake --cores $(CORES) --configfile config.yaml $(overlay)

test: .venv/installed
	.venv/bin/pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

# two minutes on one core: all that neither simulates nor compiles, which leaves imports, config,
# rules, what reruns, observables, summary, figures, projection and environments
FAST = test_layers.py workflow/test_config.py workflow/test_schema.py workflow/test_log.py \
       workflow/test_reruns.py runtime/test_environments.py runtime/test_workers.py sites \
       observables summary plotting systems/test_cards.py systems/test_own_trajectory.py

test-fast: .venv/installed
	.venv/bin/pytest $(addprefix tests/,$(FAST))

bench: .venv/installed
	TF_CPP_MIN_LOG_LEVEL=3 .venv/bin/python -m benchmarks $(RUN)

# needs root and Debian's Slurm, says so where it cannot run
test-slurm: .venv/installed
	tests/slurm/run.sh check_smoke.py

# needs conda; makes the environments of the rules
test-conda: .venv/installed
	.venv/bin/pytest tests/conda/check_environments.py

# drills of an hour or less, their outcome is in docs/reliability.md
drill-kill: .venv/installed
	.venv/bin/python tests/drills/kill.py $$(mktemp -d)

drill-time-limit: .venv/installed
	tests/slurm/run.sh check_time_limit.py

.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: $(PYTHON) is Python %d.%d; 3.11 or newer is needed, give its name: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --require-hashes -r requirements.lock
	touch $@
