#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# predictions.sh: all workloads, and WORKLOADS_RANDOM (40) at random from each of WORKLOADS_SEEDS (1 2 3 11), in a lab; what came of it goes
# into the guide of the checkout; the logs of what failed are kept in the build directory (fixtures for the diagnosis come from there). Needs
# root. LAB_NAME: a lab that is up already stays up.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

staged_controller predictions 'the lab needs'
reports=$BUILD/predictions/reports
rm -rf "$reports"
mkdir -p "$reports"

name=${LAB_NAME:-predictions}
if [ -z "${LAB_NAME:-}" ]; then
    trap 'tests/lab/lab down --name "$name"' EXIT
    inventory=$(tests/lab/lab up --name "$name" | tail -n 1)
    ansible-playbook --inventory "$inventory" tests/lab/provision.yml
fi
failed=''
measure() { timed "$1" python tests/workloads/run.py --lab "$name" --report "$reports/$1.json" --logs "$reports/$1" "${@:2}" || failed="$failed $1"; }
measure hand --hand all
for seed in ${WORKLOADS_SEEDS:-1 2 3 11}; do measure "seed-$seed" --hand none --seed "$seed" --random "${WORKLOADS_RANDOM:-40}"; done
python "$GATE_ROOT/tests/workloads/publish.py" "$reports"/*.json
[ -z "$failed" ] || die "not good enough:$failed"
