#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes DIR/sysroot-arm64, a tree of Debian's arm64 libraries, their headers and the few programs that
# the tests need in a virtual machine, and DIR/sysroot-arm64.ini, which tells meson where it is (see
# arm64.ini). Nothing is installed: the packages are unpacked. Once made, it is used as it is, without
# the network, until the list below changes.
#
# usage: sysroot.sh DIR
set -euo pipefail
shopt -s inherit_errexit

[[ $# -eq 1 ]] || {
	echo "usage: sysroot.sh DIR" >&2
	exit 2
}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
directory=$(cd "$1" && pwd)
sysroot=$directory/sysroot-arm64

packages=(
	libc6-dev libbpf-dev libsystemd-dev libjson-c-dev libdw-dev check
	dbus-daemon busybox-static coreutils dash systemd util-linux
)

if [[ $(cat "$sysroot/complete" 2>/dev/null) == "${packages[*]}" ]]; then
	exit 0
fi
echo "sysroot.sh: making $sysroot from Debian packages" >&2
rm -rf -- "$sysroot"
mkdir -p "$sysroot"
"$here/packages.sh" arm64 "$directory" "${packages[@]}" | while read -r package; do
	dpkg-deb --extract "$package" "$sysroot"
done

# Links to absolute paths would lead out of the tree.
find "$sysroot" -type l -lname '/*' -printf '%p %l\n' | while read -r link target; do
	ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$sysroot$target")" "$link"
done

cat >"$directory/sysroot-arm64.ini" <<END
[constants]
sysroot = '$sysroot'
END
echo "${packages[*]}" >"$sysroot/complete"
