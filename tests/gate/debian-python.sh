#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# debian-python.sh SUITE VERSION: that Debian release's Python, usable beside the machine's own: its packages and all they
# depend on are unpacked into the cache (nothing is installed), and the interpreter is told to use the libraries there.
# Prints the interpreter's path. For machines whose own Python is too new, too old, or not enough.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

suite=${1:?Debian suite} version=${2:?Python version}
dest=$CACHE/python/$suite
python=$dest/usr/bin/python$version
mkdir -p "$CACHE/python"
exec 9>"$CACHE/python/$suite.lock"
flock 9
if ! python_works "$python" "$version"; then
    say "Python $version from Debian $suite, into $dest"
    "$GATE_ROOT/tests/gate/debian-unpack.sh" "$suite" "$dest" "python$version" "python$version-venv"
    "$GATE_ROOT/tests/gate/debian-unpack.sh" --own-libraries "$dest" "$python"
    # The other programs have no business in anybody's PATH.
    find "$dest/usr/bin" ! -type d ! -name "python$version" -delete
    rm -rf "${dest:?}/bin" "${dest:?}/sbin" "${dest:?}/usr/sbin"
    # ensurepip's wheels are here, not where an installed package has them.
    { grep -rlI /usr/share/python-wheels "$dest/usr/lib/python$version" || true; } |
        xargs -r sed -i "s|/usr/share/python-wheels|$dest/usr/share/python-wheels|"
    python_works "$python" "$version" || die "Python $version of Debian $suite does not work here"
fi
printf '%s\n' "$python"
