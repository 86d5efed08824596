/* SPDX-License-Identifier: GPL-2.0-only OR GPL-2.0-or-later */
/* What the loop of filters.c puts where, and what both kinds of filters compare it with. */
#ifndef BENCH_FILTERS_H
#define BENCH_FILTERS_H

/* In the register with this number. */
#define PATTERN(n) (0x5ca1ab1e00000000ULL + (n))

/* The text compared with, 16 bytes with its NUL; the loop's differs from it in the last letter. */
#define TEXT             "GET /index.html"
#define TEXT_FIRST_WORD  0x646e692f20544547ULL
#define TEXT_SECOND_WORD 0x006c6d74682e7865ULL

#endif
