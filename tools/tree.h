/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON for the eye: a value on one line where it fits, else its members one below the other. */
#ifndef TOOLS_TREE_H
#define TOOLS_TREE_H

struct json_object;

/* Prints the value to stdout, with a line end; addresses in it ("at") become hexadecimal. */
void print_tree(struct json_object *value);

#endif
