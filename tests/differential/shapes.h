/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Conditions at the limits of nodes, depth and text, and those that invite a verifier to follow every
 * combination of branches. */
#ifndef DIFFERENTIAL_SHAPES_H
#define DIFFERENTIAL_SHAPES_H

#include <stddef.h>

typedef struct Text {
	char *at;
	size_t n, size;
} Text;

typedef struct Shape {
	const char *name;
	void (*write)(Text *text); /* its JSON */
} Shape;

extern const Shape shapes[];
extern const size_t n_shapes;

#endif
