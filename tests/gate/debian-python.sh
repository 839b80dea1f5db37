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
# The mirror that this machine's own apt uses, if it is a Debian.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format "\$(REPO_URI)" 'Identifier: Packages' 'Origin: Debian' | grep -v security | head -n 1 || true)}
[ -n "$mirror" ] || die 'set DEBIAN_MIRROR to the URL of a Debian mirror'
dest=$CACHE/python/$suite
python=$dest/usr/bin/python$version
mkdir -p "$CACHE/python"
exec 9>"$CACHE/python/$suite.lock"
flock 9
if ! python_works "$python" "$version"; then
    for program in apt-get dpkg-deb patchelf; do
        command -v "$program" >/dev/null || die "$program is needed to unpack Debian's Python $version"
    done
    say "Python $version from Debian $suite, into $dest"
    rm -rf "$dest"
    apt=$dest/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/sources.list.d" "$apt/preferences.d"
    : >"$apt/status"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >"$apt/sources.list"
    options=(-qq -o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt"
        -o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=$apt/sources.list.d" -o APT::Sandbox::User=root
        -o "Dir::Etc::preferences=/dev/null" -o "Dir::Etc::preferencesparts=$apt/preferences.d" -o Debug::NoLocking=1
        -o Acquire::Languages=none -o APT::Install-Recommends=false)
    apt-get "${options[@]}" update >&2
    apt-get "${options[@]}" --yes --download-only install "python$version" "python$version-venv" >&2
    # base-files would bring the links of a merged /usr, which unpacking in any order cannot rely on; nothing needs it.
    for package in "$apt"/archives/*.deb; do
        case ${package##*/} in base-files_*) ;; *) dpkg-deb --fsys-tarfile "$package" | tar -x -C "$dest" --keep-directory-symlink ;; esac
    done
    rm -rf "$apt"
    libraries=$(find "$dest" -maxdepth 3 -type d -path '*/lib/*-linux-gnu*' | paste -sd:)
    loader=$(basename "$(patchelf --print-interpreter "$python")")
    loader=$(find "$dest" -name "$loader" | head -n 1)
    patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$python"
    # The other programs have no business in anybody's PATH.
    find "$dest/usr/bin" ! -type d ! -name "python$version" -delete
    rm -rf "${dest:?}/bin" "${dest:?}/sbin" "${dest:?}/usr/sbin"
    # ensurepip's wheels are here, not where an installed package has them.
    { grep -rlI /usr/share/python-wheels "$dest/usr/lib/python$version" || true; } |
        xargs -r sed -i "s|/usr/share/python-wheels|$dest/usr/share/python-wheels|"
    python_works "$python" "$version" || die "Python $version of Debian $suite does not work here"
fi
printf '%s\n' "$python"
