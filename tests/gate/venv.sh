#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# venv.sh controller|floor|floor-run: make (once) the virtual environment of the newest or of the oldest supported ansible-core;
# print its path. It is made again when its requirements or its interpreter change.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

kind=${1:?controller, floor or floor-run}
case $kind in
controller)
    python=$(controller_python)
    wanted=$(cat "$GATE_ROOT/tests/gate/requirements-controller.txt")
    ;;
floor | floor-run)
    # ansible-core 2.17 runs on 3.10 to 3.12.
    python=$(first_python 3.11 3.12 3.10 || ensure_python 3.11) || die 'no Python 3.10 to 3.12, which ansible-core 2.17 needs'
    wanted='ansible-core>=2.17,<2.18'
    # With what playbooks and their tests need.
    [ "$kind" = floor ] || wanted=$(sed -e "s/^ansible-core.*/$wanted/" -e '/^# lint/,$d' "$GATE_ROOT/tests/gate/requirements-controller.txt")
    ;;
*) die "unknown environment $kind" ;;
esac

venv=$CACHE/venv/$kind
stamp=$(printf '%s\n%s\n' "$("$python" -VV)" "$wanted" | sha256sum | cut -d' ' -f1)
mkdir -p "$CACHE/venv"
exec 9>"$CACHE/venv/$kind.lock"
flock 9
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    say "environment $kind: $("$python" -V), into $venv"
    if [ "$("$venv/bin/python" -VV 2>/dev/null)" != "$("$python" -VV)" ]; then
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
    printf '%s\n' "$wanted" >"$venv/requirements.txt"
    "$venv/bin/python" -m pip install --upgrade pip --requirement "$venv/requirements.txt" >"$venv/pip.log" 2>&1 ||
        { tail -n 40 "$venv/pip.log" >&2; die "pip could not install the requirements of environment $kind"; }
    printf '%s\n' "$stamp" >"$venv/.stamp"
fi
printf '%s\n' "$venv"
