#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a running system is told after `meson install`: the user that the daemon runs as, its unit, its
# message catalog, the bus's policy, the new library. (An installation into DESTDIR tells nobody: that is the
# packager's work.) Each step is left out where its program or its service is not there.
set -u

[ "$(id -u)" -eq 0 ] || exit 0

step() {
	command -v "$1" >/dev/null 2>&1 || return 0
	"$@" || echo "after the installation this failed; run it by hand: $*" >&2
}

step ldconfig
step systemd-sysusers bpcondd.conf
step journalctl --update-catalog
if [ -d /run/systemd/system ]; then
	step systemctl daemon-reload
	step systemctl try-restart bpcondd.service
	systemctl --quiet is-active dbus.service && step systemctl reload dbus.service
fi
exit 0
