/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the target `turncoat` and who started it share. Addresses are the same in both of its lives: it is
 * not position-independent.
 */
#ifndef TARGETS_TURNCOAT_H
#define TARGETS_TURNCOAT_H

#include <stdint.h>

#define TURNCOAT_INNOCENT 0x1111
#define TURNCOAT_SECRET   0x5ec2e7

typedef struct TurncoatPage {
	uint64_t work, value; /* addresses, written once it is ready */
	uint64_t turn;        /* written by who started it: turn in `delay_ns` */
	uint64_t delay_ns;
	uint64_t begun; /* rounds, each a call and a store, of its first life */
} TurncoatPage;

#endif
