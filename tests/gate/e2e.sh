#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# e2e.sh [demo] [nodes] [lab] [handler]: everything that runs on the lab's nodes, with the real containerd, runc and CRIU:
# the demonstration, the main path with its faults, the lab itself, and (only when named) the restore handler. Needs root.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || die 'the lab needs root'
venv=$("$GATE_ROOT/tests/gate/venv.sh" controller)
root=$("$GATE_ROOT/tests/gate/stage.sh" e2e)
export PATH=$venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$root ANSIBLE_HOST_KEY_CHECKING=false ANSIBLE_PIPELINING=true
cd "$root/$COLLECTION"
name=${LAB_NAME:-e2e}
pytest=(env "PYTHONPATH=$root" "$venv/bin/python" -m pytest -q -p no:cacheprovider -c tests/gate/pytest.ini --rootdir . --durations=5)

step_lab() { "${pytest[@]}" tests/lab/test_lab.py; }

# on_nodes PLAYBOOK… -- COMMAND…: boot a lab, run the playbooks, then the command, and take it down.
on_nodes() {
    local inventory rc=0 playbooks=()
    while [ "$1" != -- ]; do
        playbooks+=("$1")
        shift
    done
    shift
    inventory=$(tests/lab/lab up --name "$name" | tail -n 1)
    { [ -f "$inventory" ] && ansible-playbook --inventory "$inventory" "${playbooks[@]}" && "$@"; } || rc=1
    tests/lab/lab down --name "$name" || rc=1
    return "$rc"
}

# The whole path and its faults.
step_nodes() { on_nodes tests/lab/provision.yml -- env E2E_LAB="$name" "${pytest[@]}" tests/e2e; }

# The restore handler, with archives, faults and threats.
step_handler() {
    on_nodes tests/lab/provision.yml tests/handler/install.yml -- env CONTAINER_CHECKPOINT_LABS="$name" "${pytest[@]}" tests/handler
}

step_demo() { LAB_NAME=$name "$GATE_ROOT/tests/lab/demo/run"; }

[ $# -gt 0 ] || set -- demo nodes lab
failed=''
for step in "$@"; do timed "e2e $step" "step_$step" || failed="$failed $step"; done
[ -z "$failed" ] || die "end to end failed:$failed"
