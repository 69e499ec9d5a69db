#!/usr/bin/env bash
# Runs the checks named on the command line, files in this folder, on a Slurm of one node that is
# started for them. Where it cannot be had, says so and leaves without error.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! reason=$(tests/slurm/one_node.sh available); then
    echo "skipped: Slurm checks ($reason)"
    exit 0
fi
folder=$(mktemp -d)
trap 'tests/slurm/one_node.sh down "$folder"; rm -rf "$folder"' EXIT
tests/slurm/one_node.sh up "$folder"
.venv/bin/pytest --durations=0 "${@/#/tests/slurm/}"
