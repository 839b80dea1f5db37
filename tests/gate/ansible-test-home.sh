#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-test-home.sh controller|floor: a home directory in the cache for ansible-test, holding the bootstrap script
# that it would otherwise download from its own project's host; ours installs the same pip from PyPI. Prints the path.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

kind=${1:?controller or floor}
venv=$("$GATE_ROOT/tests/gate/venv.sh" "$kind")
home=$CACHE/ansible-test-$kind
mkdir -p "$home/.ansible/test/cache"
cd "$home/.ansible/test/cache"
exec 9>"$home/.lock"
flock 9
# The versions of pip that this ansible-test asks for, by its own table.
versions=$("$venv/bin/python" - <<'PY'
import pathlib, re, ansible_test
text = (pathlib.Path(ansible_test.__path__[0]) / "_internal/python_requirements.py").read_text()
versions = sorted(set(re.findall(r"\bpip='([0-9.]+)'", text)))
if not versions:
    raise SystemExit("ansible-test does not say which pip it wants")
print("\n".join(versions))
PY
)
for version in $versions; do
    [ -f "pip-$version-py3-none-any.whl" ] ||
        "$venv/bin/python" -m pip download -qq --no-deps --dest . "pip==$version" >&2
    sed "s/@VERSION@/$version/" "$GATE_ROOT/tests/gate/get_pip.py.in" >"get_pip_${version//./_}.py"
done
printf '%s\n' "$home"
