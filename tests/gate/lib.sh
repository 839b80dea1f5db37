# shellcheck shell=bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Shared by the gate's scripts: where things live, how a step speaks, how an interpreter or a virtual environment is
# found. Source it; it changes nothing but variables.

set -euo pipefail

GATE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-.build}
case $BUILD in /*) ;; *) BUILD=$GATE_ROOT/$BUILD ;; esac
CACHE=${CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/container-checkpoint}
COLLECTION=ansible_collections/container_checkpoint/kubernetes
export GATE_ROOT BUILD CACHE COLLECTION

# What somebody's shell has set must not decide what the gate finds.
unset ANSIBLE_COLLECTIONS_PATH ANSIBLE_CONFIG ANSIBLE_ROLES_PATH PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1 ANSIBLE_NOCOLOR=1

say() { printf '== %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# timed NAME COMMAND...: run it, say how long it took, keep its exit status.
timed() {
    local timed_label=$1 begin=$SECONDS rc=0
    shift
    "$@" || rc=$?
    if [ "$rc" -eq 0 ]; then say "$timed_label: passed in $((SECONDS - begin)) s"; else say "$timed_label: FAILED (exit $rc) after $((SECONDS - begin)) s"; fi
    return "$rc"
}

# python_works PATH VERSION: is it a real interpreter of that version, with what a virtual environment needs?
python_works() {
    "$1" -c "import sys, ssl, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1
}

# find_python VERSION: the path of a working interpreter of that version, or failure.
find_python() {
    local version=$1 dir candidate
    local -a dirs
    IFS=: read -r -a dirs <<<"$PATH"
    for dir in "${dirs[@]}" /usr/local/bin /usr/bin "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}/versions/$version".*/bin \
        "$CACHE"/python/*/usr/bin; do
        case $dir in */shims) continue ;; esac
        candidate=$dir/python$version
        if [ -x "$candidate" ] && python_works "$candidate" "$version"; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# pythons: one line "VERSION PATH" for each interpreter found, oldest first.
pythons() {
    local version path
    for version in 3.9 3.10 3.11 3.12 3.13 3.14; do
        if path=$(find_python "$version"); then printf '%s %s\n' "$version" "$path"; fi
    done
}

# first_python VERSION...: the first of these versions that is there.
first_python() {
    local version
    for version in "$@"; do find_python "$version" && return 0; done
    return 1
}

# ensure_python VERSION: that interpreter, out of a Debian release when the machine has none.
ensure_python() {
    local -A suites=([3.9]=bullseye [3.11]=bookworm [3.13]=trixie [3.14]=forky)
    find_python "$1" || { [ -n "${suites[$1]:-}" ] && "$GATE_ROOT/tests/gate/debian-python.sh" "${suites[$1]}" "$1"; }
}

# controller_python: the interpreter for the newest ansible-core, which needs 3.12 or later.
controller_python() {
    if [ -n "${CONTROLLER_PYTHON:-}" ]; then printf '%s\n' "$CONTROLLER_PYTHON"; return 0; fi
    first_python 3.13 3.12 3.14 || ensure_python 3.13 ||
        die "no Python 3.12 or later, which the newest ansible-core needs: install one or set CONTROLLER_PYTHON=/path/to/python"
}

# python_path: PATH for ansible-test: the environment's own tools, then every real interpreter, never a version manager's shims.
python_path() {
    local out='' dir path
    while read -r _ path; do out=$out:$(dirname "$path"); done < <(pythons)
    local -a dirs
    IFS=: read -r -a dirs <<<"$PATH"
    for dir in "${dirs[@]}"; do case $dir in */shims) ;; *) out=$out:$dir ;; esac; done
    printf '%s\n' "${out#:}"
}

# staged_controller STAGE WHAT: for what runs Ansible on the lab's nodes: the environment's programs, a staged copy as the working directory.
# WHAT says in the message why root is needed. GATE_VENV=floor-run: on the oldest supported ansible-core.
staged_controller() {
    [ "$(id -u)" -eq 0 ] || die "$2 root"
    local venv root
    venv=$("$GATE_ROOT/tests/gate/venv.sh" "${GATE_VENV:-controller}")
    root=$("$GATE_ROOT/tests/gate/stage.sh" "$1")
    export PATH=$venv/bin:$PATH:/usr/sbin:/sbin ANSIBLE_COLLECTIONS_PATH=$root ANSIBLE_HOST_KEY_CHECKING=false ANSIBLE_PIPELINING=true PYTHONPATH=$root
    cd "$root/$COLLECTION"
}
