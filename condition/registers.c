/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking names up in the machine's table. */
#include <string.h>

#include "condition/registers.h"

const Register *register_by_name(const char *name)
{
	for (size_t i = 0; i < n_machine_registers; i++)
		if (strcmp(machine_registers[i].name, name) == 0)
			return &machine_registers[i];
	return NULL;
}

bool register_is_numbered(const char *name, const char *stem)
{
	size_t n = strlen(stem);

	return strncmp(stem, name, n) == 0 && strspn(name + n, "0123456789") == strlen(name + n);
}

const Register *register_at(size_t i)
{
	return i < n_machine_registers ? &machine_registers[i] : NULL;
}
