# A thin front: each target is one line that can be typed as well (see README.md).
PYTHON ?= python3
CORES ?= 2
PRESET ?=
DEVICE ?= cpu

ifneq ($(PRESET),)
ifeq ($(wildcard presets/$(PRESET).yaml),)
$(error PRESET=$(PRESET) is unknown; choose one of: $(basename $(notdir $(wildcard presets/*.yaml))), or leave it out)
endif
overlay = presets/$(PRESET).yaml
endif

# make figures DEVICE=gpu: NVIDIA's libraries beside the same versions of all else
lock = requirements.lock
ifeq ($(DEVICE),gpu)
lock = requirements-cuda.lock
device = --config device=gpu
endif

# make new FILES="topol.tpr run.xtc --temperature 300": a config to start from; make check CONFIG=...
new check: environment
	PYTHONPATH=scripts .venv/bin/python -m dynmatch $@ $(if $(filter new,$@),$(FILES),$(CONFIG))

.PHONY: new check environment figures demo test test-fast coverage test-files test-physics \
       bench bench-gpu test-slurm test-conda drill-kill drill-time-limit

figures: environment
	.venv/bin/snakemake --cores $(CORES) --configfile config.yaml $(overlay) $(device)

# five minutes: preset demo, a notebook on its results, its model in LAMMPS
demo: export RUN = demo
demo: environment
	.venv/bin/snakemake --cores $(CORES) --configfile config.yaml presets/demo.yaml
	PYTHONPATH=$(CURDIR)/scripts .venv/bin/jupyter-execute --output=../results/demo/model.ipynb docs/model.ipynb
	cd results/demo/water/ld/seed-1/export/lammps && $(CURDIR)/.venv/bin/lmp -in in.lammps -var steps 8000

# one worker more than cores: some tests wait for most of their time
test: environment
	.venv/bin/pytest --numprocesses $$(( $(CORES) + 1 )) --dist loadfile --no-loadscope-reorder

# two minutes on one core: all that neither simulates nor compiles, which leaves imports, config,
# rules, what reruns, observables, summary, figures, projection and environments
FAST = test_layers.py workflow/test_config.py workflow/test_schema.py workflow/test_log.py \
       workflow/test_reruns.py runtime/test_environments.py runtime/test_workers.py sites \
       observables summary plotting systems/test_cards.py systems/test_own_trajectory.py

test-fast: environment
	.venv/bin/pytest $(addprefix tests/,$(FAST))

coverage: environment
	.venv/bin/pytest --cov --cov-report=term:skip-covered $(addprefix tests/,$(FAST))

# on the results of a finished run; peers that the lock lacks are downloaded for it; an hour and more
bench: environment
	folder=$$(mktemp -d) && .venv/bin/pip install --quiet --no-deps --require-hashes --target $$folder \
	    -r benchmarks/requirements.txt && TF_CPP_MIN_LOG_LEVEL=3 PYTHONPATH=$$folder \
	    .venv/bin/python -m benchmarks $(RUN)

# ten minutes, needs an NVIDIA GPU; DRY=1 tries it on the CPU
bench-gpu: lock = $(if $(DRY),requirements.lock,requirements-cuda.lock)
bench-gpu: environment
	TF_CPP_MIN_LOG_LEVEL=3 .venv/bin/python -m benchmarks.gpu $(RUN) $(if $(DRY),--dry)

# needs root and Debian's Slurm, says so where it cannot run
test-slurm: environment
	tests/slurm/run.sh check_smoke.py

# needs conda; makes the environments of the rules
test-conda: environment
	.venv/bin/pytest tests/conda/check_environments.py

# files of other programs, 60 MB, which are downloaded for it; a minute
test-files: environment
	folder=$$(mktemp -d) && .venv/bin/pip install --quiet --no-deps --require-hashes --target $$folder \
	    -r tests/public/requirements.txt && MDATESTS=$$folder .venv/bin/pytest tests/public/check_files.py

# ensembles judged by physical_validation, which is downloaded for it; some ten minutes
test-physics: environment
	folder=$$(mktemp -d) && .venv/bin/pip install --quiet --no-deps --require-hashes --target $$folder \
	    -r tests/physics/requirements.txt && PYTHONPATH=$$folder .venv/bin/pytest tests/physics/check_physics.py

# drills of an hour or less, their outcome is in docs/reliability.md
drill-kill: environment
	.venv/bin/python tests/drills/kill.py $$(mktemp -d)

drill-time-limit: environment
	tests/slurm/run.sh check_time_limit.py

# decided by the lock's hash; an environment in use is left alone
environment:
	@$(PYTHON) envs/venv.py $(lock)
