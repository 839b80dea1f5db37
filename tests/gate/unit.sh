#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# unit.sh [pytest arguments]: the unit tests but the slow ones (those run in units.sh, too), on the controller's Python, from a staged copy: the inner loop.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

venv=$("$GATE_ROOT/tests/gate/venv.sh" controller)
root=$("$GATE_ROOT/tests/gate/stage.sh")
cd "$root/$COLLECTION"
export PYTHONPATH=$root ANSIBLE_COLLECTIONS_PATH=$root
[ $# -gt 0 ] || set -- -q -n 2 -m "not slow" tests/unit tests/lab/test_lablib.py tests/lab/double
PATH=$venv/bin:$PATH "$venv/bin/python" -m pytest --import-mode=importlib -p no:cacheprovider -c tests/gate/pytest.ini --rootdir . "$@"
