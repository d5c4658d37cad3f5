#!/usr/bin/env bash
# Regenerates the leaderboard: sets up .venv on first use, obtains the data, runs a suite.
set -euo pipefail
script=$(readlink -f "${BASH_SOURCE[0]}" 2>/dev/null || echo "${BASH_SOURCE[0]}") # links followed
root=$(cd "$(dirname "$script")" && pwd -P)

usage() {
    cat <<'TEXT'
usage: ./run_all.sh [SUITE] [OPTION ...]   run a suite (default: etth1) and write its leaderboard
       ./run_all.sh --tests [ARG ...]      run the tests on all cores; ARGs go to pytest
       ./run_all.sh --help

Suites: etth1 (the reference leaderboard), quick (a taste), full (every data set, three seeds),
or the path of a suite's YAML. OPTIONs go to 'benchmark suite', e.g. --set training.epochs=2,
--strict, --device cpu. As many runs go on at once as there are cores, four at most; --jobs N says
otherwise.

Environment: BENCHMARK_DATA (folder of data files, default datasets/), BENCHMARK_RESULTS (default
results/), PYTHON (interpreter for .venv, default python3).
TEXT
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Install into .venv what some extras of pyproject.toml name, unless that is done for these versions
# in this folder: a .venv knows its own path, and one that was copied would run the original's code.
set_up() (
    cd "$root"
    local extra=$1 stamp=.venv/.ready-$1 wanted
    wanted="$(cat pyproject.toml constraints.txt | cksum) $root"
    if [[ -x .venv/bin/python && -f $stamp && $(<"$stamp") == "$wanted" ]]; then
        return
    fi
    local python=${PYTHON:-python3}
    if ! new_enough "$python"; then
        echo "error: $python is not Python 3.11 or newer; set PYTHON to one that is" >&2
        exit 2
    fi
    echo "Setting up .venv (once; PyTorch is large, this takes some minutes) ..." >&2
    # Renewing one gives it the pip it was stopped before, or its new path; where that cannot be
    # done it may still do. Without a Python that runs (the system's was upgraded) it is made anew.
    if ! new_enough .venv/bin/python; then
        "$python" -m venv --clear .venv
    else
        .venv/bin/python -m venv .venv &>/dev/null || true
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --editable ".[$extra]"
    echo "$wanted" >"$stamp"
)

# How many runs at once: sharing the cores, they are done sooner than one after the other on all.
at_once() {
    local cores
    cores=$(getconf _NPROCESSORS_ONLN)
    if command -v nvidia-smi >/dev/null; then # one GPU is one run's
        echo 1
    else
        echo $((cores < 4 ? cores : 4))
    fi
}

case ${1:-} in
    -h | --help)
        usage
        ;;
    --tests)
        shift
        set_up dev
        # In as many processes as there are cores; a file's tests, which share fixtures, in one.
        cd "$root"
        exec .venv/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile "$@"
        ;;
    *)
        suite=etth1
        if [[ $# -gt 0 && $1 != -* ]]; then
            suite=$1
            shift
        fi
        set_up tensorboard,report,tune
        if [[ " $* " != *" --executor"* ]]; then # a cluster has an answer of its own
            set -- --jobs "$(at_once)" "$@"      # of two, the last one counts
        fi
        exec "$root/.venv/bin/python" -m benchmark suite "$suite" "$@"
        ;;
esac
