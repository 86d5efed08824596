#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The installed service under clients that come, go and are killed by chance, and is itself killed and
# restarted (tests/soak). Runs within in_systemd.sh.
#
# usage: soak.sh SOURCE BUILD [SECONDS [SEED]]
# shellcheck disable=SC2317,SC2154 # functions are called by name; variables are set in checks.sh
set -euo pipefail
readonly SOURCE=$1 BUILD=$2 LASTS=${3:-100}
readonly SEED=${4:-$RANDOM$RANDOM}
# shellcheck source=tests/system/checks.sh
. "$SOURCE/tests/system/checks.sh"

check "meson install works" install_here
# Ids of their own: the kernel counts what lies in sockets by user, of all that runs on this machine.
own_ids() {
	local user number=61234
	for user in "$USER_A" "$USER_B"; do
		number=$((number + 1))
		usermod --uid "$number" "$user" && groupmod --gid "$number" "$user" &&
			usermod --gid "$number" "$user" || return 1
	done
}
check "users that nobody else is" own_ids
check "systemctl start" systemctl start bpcondd
# The build may lie where only root can go.
install -m 755 "$BUILD/tests/targets/paced" /run/paced
soak() {
	"$BUILD/tests/soak/soak" --survives "$LASTS" "$SEED" /run/paced >"$scratch/soak.log"
}
check "clients, targets and the daemon come, go and are killed for $LASTS s, seed $SEED" soak
cat "$scratch/soak.log"
check "the journal has what systemd says of it" journal_has --grep '^Started '
# Other than SIGKILL, which was ours: a crash, or an exit that nobody asked for.
check "the daemon has not ended by itself" fails journal_has \
	--grep 'code=dumped|code=exited, status=[1-9]|Watchdog timeout|status=(6|11)/'
finish
