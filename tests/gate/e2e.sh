#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# e2e.sh [STEP...]: everything that runs on the lab's nodes, with the real containerd, runc and CRIU: the lab itself, the
# restore handler, and the demonstration. Needs root.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || die 'the lab needs root'
venv=$("$GATE_ROOT/tests/gate/venv.sh" controller)
root=$("$GATE_ROOT/tests/gate/stage.sh" e2e)
export PATH=$venv/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$root ANSIBLE_HOST_KEY_CHECKING=false ANSIBLE_PIPELINING=true
export PYTHONPATH=$root
cd "$root/$COLLECTION"
name=${LAB_NAME:-e2e}
check() { "$venv/bin/python" -m pytest -q -p no:cacheprovider -c tests/gate/pytest.ini --rootdir . --durations=5 "$@"; }

step_lab() { check tests/lab/test_lab.py; }

step_handler() {
    local inventory rc=0
    inventory=$(tests/lab/lab up --name "$name" --quiet | tail -n 1)
    ansible-playbook --inventory "$inventory" tests/lab/provision.yml &&
        ansible-playbook --inventory "$inventory" tests/handler/install.yml &&
        CONTAINER_CHECKPOINT_LABS=$name check tests/handler || rc=$?
    tests/lab/lab down --name "$name" --quiet || rc=1
    return "$rc"
}

step_demo() { PYTHONPATH='' LAB_NAME=$name "$GATE_ROOT/tests/lab/demo/run"; }

[ $# -gt 0 ] || set -- demo handler lab
failed=''
for step in "$@"; do timed "e2e $step" "step_$step" || failed="$failed $step"; done
[ -z "$failed" ] || die "end to end failed:$failed"
