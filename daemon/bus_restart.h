/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What systemd wants when it sends SIGTERM: `systemctl restart` and `systemctl stop` send the same
 * signal, and only the job on the unit tells which it is. At a restart sessions are left to the next
 * daemon, at a stop everything is revoked.
 */
#ifndef BUS_RESTART_H
#define BUS_RESTART_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/*
 * Whether our unit is being restarted, and systemd holds at least `n_stored` descriptors for us. What
 * cannot be found out within seconds, or is not plain, is a no: then nothing may stay behind.
 */
bool bus_is_restarting(sd_bus *bus, uint32_t n_stored);

#endif
