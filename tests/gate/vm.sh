#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# vm.sh [PYTEST ARGUMENT...]: the roles and the restore handler in virtual machines (tests/vm/README.md). Needs root.
# VM_ACCEL=kvm: KVM instead of software emulation.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || die 'virtual machines are built with debootstrap, which needs root'
"$GATE_ROOT/tests/gate/deps.sh" qemu-system-x86 qemu-utils e2fsprogs fdisk
venv=$("$GATE_ROOT/tests/gate/venv.sh" controller)
root=$("$GATE_ROOT/tests/gate/stage.sh" vm)
export PATH=$venv/bin:$PATH:/usr/sbin:/sbin ANSIBLE_COLLECTIONS_PATH=$root ANSIBLE_HOST_KEY_CHECKING=false
cd "$root/$COLLECTION"
[ $# -gt 0 ] || set -- tests/vm
timed 'virtual machines' env "PYTHONPATH=$root" "$venv/bin/python" -m pytest -v -rs -p no:cacheprovider -c tests/gate/pytest.ini --rootdir . --durations=0 "$@"
