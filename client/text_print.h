/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A condition tree as text that compiles to the same tree again. */
#ifndef CLIENT_TEXT_PRINT_H
#define CLIENT_TEXT_PRINT_H

#include "client/text_tree.h"

/* Return: 0 and *ret (free()); -EINVAL for a tree that no text can express (a parameter that is called
 * as a word of C, too many nodes); -ENOMEM. */
int text_print(TreeArena *arena, const TreeNode *node, char **ret);

#endif
