#!/usr/bin/env bash
# Runs the checks named on the command line, files in this folder, on a Slurm of one node that is
# started for them. Where it cannot be had, says so and leaves without error.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: Slurm checks ($1)"
    exit 0
}

reason=$(tests/slurm/one_node.sh install) || skip "$reason"
folder=$(mktemp -d)
trap 'tests/slurm/one_node.sh down "$folder"; rm -rf "$folder"' EXIT
reason=$(tests/slurm/one_node.sh up "$folder") || skip "$reason"
"${PYTHON:-.venv/bin/python}" -m pytest --durations=0 "${@/#/tests/slurm/}"
