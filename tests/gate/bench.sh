#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# bench.sh [image] [checkpoint] [handler]: the measurements. Each prints a table and fails when a promise is broken; the
# numbers are kept in $BUILD/bench. Needs root. Nothing else should run on the machine meanwhile.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || die 'the measurements need root'
venv=$("$GATE_ROOT/tests/gate/venv.sh" controller)
root=$("$GATE_ROOT/tests/gate/stage.sh" bench)
results=$BUILD/bench/results
mkdir -p "$results"
export PATH=$venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$root ANSIBLE_HOST_KEY_CHECKING=false ANSIBLE_PIPELINING=true
cd "$root/$COLLECTION"
measure() {
    local name=$1
    shift
    timed "bench $name" env "PYTHONPATH=$root" "$venv/bin/python" "tests/bench/bench_$name.py" --json "$results/$name.json" "$@"
}

step_image() { measure image; }

step_checkpoint() { measure checkpoint; }

step_handler() {
    local inventory rc=0 name=${LAB_NAME:-bench}
    inventory=$(tests/lab/lab up --name "$name" | tail -n 1)
    [ -f "$inventory" ] || return 1
    { ansible-playbook --inventory "$inventory" tests/lab/provision.yml tests/handler/install.yml >"$results/provision.log" 2>&1 &&
        measure handler --lab "$name"; } || rc=1
    tests/lab/lab down --name "$name" || rc=1
    return "$rc"
}

[ $# -gt 0 ] || set -- image checkpoint handler
failed=''
for step in "$@"; do "step_$step" || failed="$failed $step"; done
[ -z "$failed" ] || die "bench failed:$failed"
