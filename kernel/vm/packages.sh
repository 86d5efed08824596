#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Downloads Debian packages of any architecture, by name, with what they depend on, through a private
# apt whose state and cache are in DIR: the machine's own is neither asked nor changed, but for its
# package sources and their keys. Needs no root. Prints the path of each package, one a line; what is
# there already is not downloaded again.
#
# usage: packages.sh ARCHITECTURE DIR NAME...
set -euo pipefail
shopt -s inherit_errexit

[[ $# -ge 3 ]] || {
	echo "usage: packages.sh ARCHITECTURE DIR NAME..." >&2
	exit 2
}
architecture=$1
directory=$2
shift 2

mkdir -p "$directory"
root=$(cd "$directory" && pwd)/apt-$architecture
mkdir -p "$root"/state/lists/partial "$root"/cache/archives/partial
[[ -f $root/status ]] || : >"$root/status"
cat >"$root/apt.conf" <<END
APT::Architecture "$architecture";
#clear APT::Architectures;
APT::Architectures:: "$architecture";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Dir::State "$root/state";
Dir::State::status "$root/status";
Dir::Cache "$root/cache";
Debug::NoLocking "true";
END
apt=(env "APT_CONFIG=$root/apt.conf" apt-get --yes --quiet=2)

# Once a day, and when the lists know a package no longer.
update() {
	"${apt[@]}" update >/dev/null || {
		echo "packages.sh: cannot read the package lists for $architecture" >&2
		exit 1
	}
	touch "$root/updated"
}
[[ -n $(find "$root/updated" -mtime -1 2>/dev/null) ]] || update

download() {
	"${apt[@]}" --download-only install "$@" </dev/null >/dev/null
}
download "$@" 2>/dev/null || {
	update
	download "$@" || {
		echo "packages.sh: cannot download $* for $architecture" >&2
		exit 1
	}
}

# "Inst NAME (VERSION SOURCE… [ARCHITECTURE])"; in file names ':' is %3a.
"${apt[@]}" --simulate install "$@" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*\[\([a-z0-9]*\)\]).*/\1_\2_\3.deb/p' |
	while read -r name; do
		file=$root/cache/archives/${name//:/%3a}
		[[ -f $file ]] || {
			echo "packages.sh: $file is missing" >&2
			exit 1
		}
		printf '%s\n' "$file"
	done
