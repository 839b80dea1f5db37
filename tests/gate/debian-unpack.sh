#!/usr/bin/env bash
# Copyright: (c) 2026, The container_checkpoint.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# debian-unpack.sh SUITE DIRECTORY PACKAGE...: packages of that Debian release and all they depend on, unpacked into the directory. Nothing
# is installed. debian-unpack.sh --own-libraries DIRECTORY PROGRAM: have a program in there use the libraries there, not the machine's.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

for program in apt-get dpkg-deb patchelf; do
    command -v "$program" >/dev/null || die "$program is needed to unpack packages of Debian"
done
if [ "${1:-}" = --own-libraries ]; then
    dest=${2:?directory} program=${3:?program}
    libraries=$(find "$dest" -maxdepth 3 -type d -path '*/lib/*-linux-gnu*' | paste -sd:)
    loader=$(basename "$(patchelf --print-interpreter "$program")")
    loader=$(find "$dest" -name "$loader" | head -n 1)
    patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$program"
    exit
fi
suite=${1:?Debian suite} dest=${2:?directory}
shift 2
# The mirror that this machine's own apt uses, if it is a Debian.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format "\$(REPO_URI)" 'Identifier: Packages' 'Origin: Debian' | grep -v security | head -n 1 || true)}
[ -n "$mirror" ] || die 'set DEBIAN_MIRROR to the URL of a Debian mirror'
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
apt-get "${options[@]}" --yes --download-only install "$@" >&2
# base-files would bring the links of a merged /usr, which unpacking in any order cannot rely on; nothing needs it.
for package in "$apt"/archives/*.deb; do
    case ${package##*/} in base-files_*) ;; *) dpkg-deb --fsys-tarfile "$package" | tar -x -C "$dest" --keep-directory-symlink ;; esac
done
rm -rf "$apt"
