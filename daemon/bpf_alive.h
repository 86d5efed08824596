/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which BPF objects the kernel still has, whoever holds them, by the iterators of bpf/alive.bpf.c.
 */
#ifndef BPF_ALIVE_H_DAEMON
#define BPF_ALIVE_H_DAEMON

#include <stdint.h>

typedef struct AliveReader AliveReader;

/* What is asked about one program and the maps that belong to it, by their ids; 0: none. */
typedef struct KernelObjects {
	uint32_t program;
	uint32_t maps[4];
	uint32_t shared_ring; /* that the program writes into, asked about elsewhere */
} KernelObjects;

typedef enum KernelState {
	KERNEL_GONE,  /* all of them */
	KERNEL_DYING, /* nobody can use them, but the kernel has still to free some */
	KERNEL_HELD,  /* by a descriptor, a mapping or an event */
} KernelState;

/* What one walk over all programs and maps of the machine has found. */
typedef struct AliveList AliveList;

/* Loads the iterators. Return: 0 and *ret (alive_reader_free); -EOPNOTSUPP on a kernel without BTF;
 * another negative errno. */
int alive_reader_new(AliveReader **ret);
AliveReader *alive_reader_free(AliveReader *reader);

/* Return: 0 and *ret (alive_list_free); negative errno. */
int alive_reader_read(AliveReader *reader, AliveList **ret);
AliveList *alive_list_free(AliveList *list);

/* Has the list show a ring as held where the program that writes into it is. */
void alive_list_hold_shared(AliveList *list, const KernelObjects *objects);

KernelState alive_list_state(const AliveList *list, const KernelObjects *objects);

/* The ids behind two kinds of descriptors. Return: 0 and *ret; negative errno. */
int alive_program_id(int program_fd, uint32_t *ret);
int alive_map_id(int map_fd, uint32_t *ret);

#endif
