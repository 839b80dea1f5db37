#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# bench.sh [image] [checkpoint] [archive_info] [preflight] [fetch] [move] [handler]: the measurements. Each prints a table and fails when a promise is broken;
# the numbers are kept in $BUILD/bench. Needs root. Nothing else should run on the machine meanwhile.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

staged_controller bench 'the measurements need'
results=$BUILD/bench/results
mkdir -p "$results"
measure() {
    local name=$1
    shift
    timed "bench $name" python "tests/bench/bench_$name.py" --json "$results/$name.json" "$@"
}

step_image() { measure image; }

step_checkpoint() { measure checkpoint; }

# checkpointctl where the machine has none: Debian's, unpacked into the cache.
unpacked_checkpointctl() {
    local dest=$CACHE/checkpointctl
    if ! "$dest/usr/bin/checkpointctl" --help >/dev/null 2>&1; then
        { "$GATE_ROOT/tests/gate/debian-unpack.sh" forky "$dest" checkpointctl &&
            "$GATE_ROOT/tests/gate/debian-unpack.sh" --own-libraries "$dest" "$dest/usr/bin/checkpointctl"; } >&2 || return 1
    fi
    printf '%s\n' "$dest/usr/bin/checkpointctl"
}

step_archive_info() {
    local -a options=()
    command -v checkpointctl >/dev/null || options=(--checkpointctl "$(unpacked_checkpointctl)")
    measure archive_info "${options[@]}"
}

step_fetch() { measure fetch; }

# in_lab BENCH PLAYBOOK…: boot a lab, run the playbooks, measure, take it down.
in_lab() {
    local inventory rc=0 name=${LAB_NAME:-bench} bench=$1
    shift
    inventory=$(tests/lab/lab up --name "$name" | tail -n 1)
    { [ -f "$inventory" ] && ansible-playbook --inventory "$inventory" "$@" >"$results/provision.log" 2>&1 && measure "$bench" --lab "$name"; } || rc=1
    tests/lab/lab down --name "$name" || rc=1
    return "$rc"
}

step_move() { in_lab move tests/lab/provision.yml; }

step_preflight() { in_lab preflight tests/lab/provision.yml; }

step_handler() { in_lab handler tests/lab/provision.yml tests/handler/install.yml; }

[ $# -gt 0 ] || set -- image checkpoint archive_info fetch preflight move handler
failed=''
for step in "$@"; do "step_$step" || failed="$failed $step"; done
[ -z "$failed" ] || die "bench failed:$failed"
