#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# e2e.sh [demo] [nodes] [roles] [workloads] [handler] [handler_trixie] [lab]: everything that runs on the lab's nodes, with the real containerd,
# runc and CRIU: the demonstration, the main path with its faults, preflight's predictions, the lab itself, and (only when named) the
# roles that set a cluster up and the restore handler. Needs root.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

staged_controller e2e 'the lab needs'
name=${LAB_NAME:-e2e}
pytest=(python -m pytest -q -p no:cacheprovider -c tests/gate/pytest.ini --rootdir . --durations=5)

step_lab() { "${pytest[@]}" tests/lab/test_lab.py; }

# One lab for all steps: booted and provisioned by the first that needs it (the demonstration does both), taken down at the end.
provisioned=false
nodes() {
    local inventory
    inventory=$(tests/lab/lab up --name "$name" | tail -n 1)
    [ -f "$inventory" ] || return 1
    "$provisioned" || ansible-playbook --inventory "$inventory" tests/lab/provision.yml || return 1
    provisioned=true
    [ $# -eq 0 ] || ansible-playbook --inventory "$inventory" "$@"
}

# The demonstration, as a newcomer calls it, but for the lab that stays.
step_demo() { LAB_NAME=$name KEEP=1 "$GATE_ROOT/tests/lab/demo/run" && provisioned=true; }

# The whole path and its faults, the backups, and the restores through the handler.
roles=(tests/e2e/test_cluster_roles.py tests/e2e/test_backup_timer.py tests/e2e/test_enable.py)
step_nodes() { nodes && env E2E_LAB="$name" "${pytest[@]}" tests/e2e "${roles[@]/#/--ignore=}"; }

# The roles that set a cluster up, and the backup's timer.
step_roles() { nodes && env E2E_LAB="$name" "${pytest[@]}" "${roles[@]}"; }

# What pod_preflight predicts against what CRIU then does. WORKLOADS_ALL=1, WORKLOADS_RANDOM=N, WORKLOADS_SEED=S: more of them.
step_workloads() { nodes && env WORKLOADS_LAB="$name" "${pytest[@]}" -s tests/workloads; }

# The restore handler: its role on nodes that are without it, a double of CRI-O on node2, then as node1's default runtime. HANDLER_SLOW=1:
# every step at which it can be killed; HANDLER_STARTS=1000: so many ordinary starts.
step_handler() {
    local rc=0 roles=(tests/handler/test_role.py tests/handler/test_crio.py)
    local handler=(env CONTAINER_CHECKPOINT_LABS="$name" "${pytest[@]}")
    nodes || return 1
    "${handler[@]}" "${roles[@]}" || rc=1
    nodes tests/handler/install.yml --limit node1 --extra-vars restore_handler_default_runtime=true &&
        "${handler[@]}" tests/handler "${roles[@]/#/--ignore=}" || rc=1
    return "$rc"
}

# The same on containerd 1.7, whose CRI cannot restore and whose configuration is of version 2: a lab of its own, without the kubelet's doubles.
step_handler_trixie() {
    local rc=0 inventory old=$name-old
    inventory=$(tests/lab/lab up --name "$old" --suite trixie --nodes 1 | tail -n 1)
    { [ -f "$inventory" ] && ansible-playbook --inventory "$inventory" --extra-vars restore_handler_default_runtime=true \
        tests/handler/old_runtime.yml tests/handler/install.yml &&
        env CONTAINER_CHECKPOINT_LABS="$old" "${pytest[@]}" tests/handler/test_restore.py tests/handler/test_ordinary.py tests/handler/test_role.py; } || rc=1
    tests/lab/lab down --name "$old" || rc=1
    return "$rc"
}

[ $# -gt 0 ] || set -- demo nodes workloads lab
failed=''
for step in "$@"; do timed "e2e $step" "step_$step" || failed="$failed $step"; done
timed 'e2e down' tests/lab/lab down --name "$name" || failed="$failed down"
[ -z "$failed" ] || die "end to end failed:$failed"
