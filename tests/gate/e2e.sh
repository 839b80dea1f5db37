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

# The whole path and its faults.
step_nodes() { nodes && env E2E_LAB="$name" "${pytest[@]}" tests/e2e; }

# The restore handler, with archives, faults and threats.
step_handler() { nodes tests/handler/install.yml && env CONTAINER_CHECKPOINT_LABS="$name" "${pytest[@]}" tests/handler; }

[ $# -gt 0 ] || set -- demo nodes lab
failed=''
for step in "$@"; do timed "e2e $step" "step_$step" || failed="$failed $step"; done
timed 'e2e down' tests/lab/lab down --name "$name" || failed="$failed down"
[ -z "$failed" ] || die "end to end failed:$failed"
