/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Trees as text. The tree computes in 64 bits, C in int: so the same operators that compile text
 * (text_value.c) are run on what is about to be printed, with no cast, then with one, then with all
 * operands cast, until they give the very node that is to be printed. At last the whole text is compiled
 * again and compared: a text that is printed means the tree that it was printed from.
 *
 * Some trees have no text of their own, since compiling folds and simplifies (1 + 2, an `as` without
 * effect): such a node is printed as what its text compiles to, which computes the same.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/text_names.h"
#include "client/text_parser.h"
#include "client/text_print.h"

enum {
	PRECEDENCE_CONDITIONAL,
	PRECEDENCE_OR,
	PRECEDENCE_AND,
	PRECEDENCE_BIT_OR,
	PRECEDENCE_BIT_XOR,
	PRECEDENCE_BIT_AND,
	PRECEDENCE_EQUALITY,
	PRECEDENCE_RELATION,
	PRECEDENCE_SHIFT,
	PRECEDENCE_SUM,
	PRECEDENCE_PRODUCT,
	PRECEDENCE_UNARY,
	PRECEDENCE_PRIMARY,
};

static const unsigned PRECEDENCES[TREE_OP_COUNT] = {
	[TREE_ADD] = PRECEDENCE_SUM,          [TREE_SUBTRACT] = PRECEDENCE_SUM,
	[TREE_MULTIPLY] = PRECEDENCE_PRODUCT, [TREE_DIVIDE] = PRECEDENCE_PRODUCT,
	[TREE_MODULO] = PRECEDENCE_PRODUCT,   [TREE_BIT_AND] = PRECEDENCE_BIT_AND,
	[TREE_BIT_OR] = PRECEDENCE_BIT_OR,    [TREE_BIT_XOR] = PRECEDENCE_BIT_XOR,
	[TREE_SHIFT_LEFT] = PRECEDENCE_SHIFT, [TREE_SHIFT_RIGHT] = PRECEDENCE_SHIFT,
	[TREE_EQUAL] = PRECEDENCE_EQUALITY,   [TREE_NOT_EQUAL] = PRECEDENCE_EQUALITY,
	[TREE_LESS] = PRECEDENCE_RELATION,    [TREE_LESS_EQUAL] = PRECEDENCE_RELATION,
	[TREE_GREATER] = PRECEDENCE_RELATION, [TREE_GREATER_EQUAL] = PRECEDENCE_RELATION,
	[TREE_AND] = PRECEDENCE_AND,          [TREE_OR] = PRECEDENCE_OR,
};

/* A printed node. `value` is what its text compiles to; settled, that is `exact`, which equals the node
 * up to what compiling simplifies. */
typedef struct Printed {
	char *text; /* NULL: failed, the arena knows why */
	unsigned precedence;
	Value value;
	TreeNode *exact;
} Printed;

static const Printed FAILED;

static Printed print_node(TreeArena *arena, const TreeNode *node, const CType *loose);

__attribute__((format(printf, 2, 3))) static char *format(TreeArena *arena, const char *form, ...)
{
	char *text = NULL, *copy = NULL;
	va_list list;
	int length;

	va_start(list, form);
	length = vasprintf(&text, form, list);
	va_end(list);
	if (length < 0) {
		tree_fail_errno(arena, -ENOMEM);
		return NULL;
	}
	copy = tree_copy_string(arena, text, (size_t)length);
	free(text);
	return copy;
}

/* The text, in parentheses if it binds less than the place needs; compiling sees them too. */
static char *enclosed(TreeArena *arena, const Printed *printed, unsigned precedence)
{
	if (printed->precedence >= precedence)
		return printed->text;
	printed->value.node->closed = true;
	return format(arena, "(%s)", printed->text);
}

/* ---- Leaves ---------------------------------------------------------------------------------- */

static Printed print_constant(TreeArena *arena, const TreeNode *node, bool is_address)
{
	int64_t value = (int64_t)node->bits;
	Printed printed = {.precedence = PRECEDENCE_PRIMARY};
	uint64_t magnitude = value < 0 ? -node->bits : node->bits;
	CType type = magnitude <= INT32_MAX ? C_INT : C_LONG;

	if (node->range.is_u64 || (is_address && value >= 0)) {
		printed.text = format(arena, "0x%llx", (unsigned long long)node->bits);
		type = node->range.is_u64 ? C_ULONG : C_LONG;
	} else if (value == INT64_MIN) {
		printed.text = format(arena, "(-9223372036854775807 - 1)");
	} else {
		printed.text = format(arena, "%lld", (long long)value);
		if (value < 0)
			printed.precedence = PRECEDENCE_UNARY;
	}
	printed.value = value_constant(arena, node->bits, type);
	printed.exact = printed.value.node;
	return printed;
}

static Printed print_leaf(TreeArena *arena, const TreeNode *node)
{
	const TextVariable *variable;
	Printed printed = {.precedence = PRECEDENCE_PRIMARY};
	CType type = C_LONG;

	if (node->op == TREE_REGISTER) {
		type = text_register_find(node->name, strlen(node->name))->c_type;
		printed.text = format(arena, "$%s", node->name);
	} else if (node->op == TREE_VARIABLE) {
		variable = text_variable_find(node->name, strlen(node->name));
		type = variable->c_type;
		printed.text = format(arena, "%s%s", variable->for_data ? "" : "$_", node->name);
	} else {
		printed.text = format(arena, "%s", node->name);
	}
	printed.exact = tree_leaf(arena, node->op, node->name, node->range);
	printed.value = value_of(printed.exact, type);
	return printed;
}

/* ---- Casts and memory ------------------------------------------------------------------------ */

/* The printed value cast to a type. `exact` is left to the caller. */
static Printed print_cast(TreeArena *arena, const Printed *printed, CType type)
{
	Printed cast = {.precedence = PRECEDENCE_UNARY};
	char name[48];

	c_type_name(type, name, sizeof(name));
	cast.text = format(arena, "(%s)%s", name, enclosed(arena, printed, PRECEDENCE_UNARY));
	cast.value = value_converted(arena, printed->value, type);
	return cast;
}

static Printed print_as(TreeArena *arena, const TreeNode *node)
{
	CType type = c_from_tree_type(node->type);
	Printed of = print_node(arena, node->operands[0], &type), printed;
	bool same_type;

	if (!of.text)
		return FAILED;
	same_type = of.value.type.size == type.size && of.value.type.is_signed == type.is_signed &&
		    !of.value.type.is_bool && of.value.type.pointers == 0;
	printed = same_type ? of : print_cast(arena, &of, type);
	/* 64 bits need no `as` until an operator looks at the sign. */
	printed.exact = type.size == 8 ? tree_as(arena, node->type, of.exact)
				       : value_settled(arena, printed.value);
	return printed;
}

static Printed print_load(TreeArena *arena, const TreeNode *node)
{
	const TreeNode *at = node->operands[0];
	Printed address = at->op == TREE_CONSTANT ? print_constant(arena, at, true)
						  : print_node(arena, at, NULL);
	CType type = c_from_tree_type(node->type);
	Printed printed;

	if (!address.text)
		return FAILED;
	type.pointers = 1;
	printed = print_cast(arena, &address, type);
	printed.text = format(arena, "*%s", printed.text);
	printed.value = value_at(arena, printed.value, (TextPosition){1, 1});
	printed.exact = printed.value.node;
	return printed;
}

/* ---- Operators ------------------------------------------------------------------------------- */

/* What is tried, the last of which always computes what the tree does. */
static const struct Attempt {
	bool first, others; /* which operands are cast */
	bool other_sign;    /* to long where the tree computes unsigned, and the other way round */
} ATTEMPTS[] = {
	{false, false, false}, {true, false, false}, {true, false, true},
	{true, true, true},    {true, true, false},
};

/* Applies the operator to what its operands compile to, as the text of it would be compiled. */
static Value apply(TreeArena *arena, TreeOp op, const Printed *operands, size_t n)
{
	TextPosition nowhere = {1, 1};
	Value value = operands[0].value;

	if (op == TREE_IF)
		return value_conditional(arena, value, operands[1].value, operands[2].value,
					 nowhere);
	if (op == TREE_IN || op == TREE_MASKED)
		return value_of_three(
			arena, op, (Value[]){value, operands[1].value, operands[2].value}, nowhere);
	if (n == 1)
		return value_unary(arena, op, value, nowhere);
	for (size_t i = 1; i < n; i++)
		value = value_binary(arena, op, value, operands[i].value, nowhere);
	return value;
}

static const char *c_operator(TreeOp op)
{
	return op == TREE_AND ? "&&" : op == TREE_OR ? "||" : tree_op_name(op);
}

static char *join(TreeArena *arena, const TreeNode *node, const Printed *operands)
{
	unsigned precedence = PRECEDENCES[node->op];
	const char *sign = c_operator(node->op);
	bool takes_over, nested;
	char *text;

	if (node->op == TREE_IF)
		return format(arena, "%s ? %s : %s", enclosed(arena, &operands[0], PRECEDENCE_OR),
			      operands[1].text, operands[2].text);
	if (node->op == TREE_IN || node->op == TREE_MASKED)
		return format(arena, "%s(%s, %s, %s)", node->op == TREE_IN ? "in_range" : "masked",
			      operands[0].text, operands[1].text, operands[2].text);
	if (node->n_operands == 1) {
		/* No `--`, nor anything that looks like it. */
		bool again = operands[0].text[0] == sign[0];

		return format(arena, "%s%s", sign,
			      enclosed(arena, &operands[0],
				       again ? PRECEDENCE_PRIMARY : PRECEDENCE_UNARY));
	}
	/* An operator that takes many operands would take over those of a first one like it; and
	 * `a < b < c` is right but reads wrong. */
	takes_over = operands[0].value.node->op == node->op && operands[0].exact->op == node->op;
	nested = operands[0].precedence == precedence &&
		 (takes_over || precedence == PRECEDENCE_RELATION ||
		  precedence == PRECEDENCE_EQUALITY);
	text = enclosed(arena, &operands[0], nested ? precedence + 1 : precedence);
	for (size_t i = 1; i < node->n_operands; i++)
		text = format(arena, "%s %s %s", text, sign,
			      enclosed(arena, &operands[i], precedence + 1));
	return text;
}

static unsigned precedence_of(const TreeNode *node)
{
	if (node->op == TREE_IF)
		return PRECEDENCE_CONDITIONAL;
	if (node->op == TREE_IN || node->op == TREE_MASKED)
		return PRECEDENCE_PRIMARY;
	return node->n_operands == 1 ? PRECEDENCE_UNARY : PRECEDENCES[node->op];
}

/* Casts operands as the attempt says. */
static void cast_operands(TreeArena *arena, const TreeNode *node, const struct Attempt *attempt,
			  Printed *operands)
{
	size_t first = node->op == TREE_IF ? 1 : 0;
	bool is_u64 = false;

	for (size_t i = first; i < node->n_operands; i++)
		is_u64 = is_u64 || operands[i].exact->range.is_u64;
	for (size_t i = first; i < node->n_operands; i++) {
		TreeNode *exact = operands[i].exact;

		if (!(i == first ? attempt->first : attempt->others))
			continue;
		operands[i] = print_cast(arena, &operands[i],
					 is_u64 != attempt->other_sign ? C_ULONG : C_LONG);
		operands[i].exact = exact;
	}
}

static bool same_type(CType a, CType b)
{
	return a.size == b.size && a.is_signed == b.is_signed && a.is_bool == b.is_bool &&
	       a.pointers == b.pointers;
}

/*
 * Prints an operator over printed operands. With `loose` only the bits of that type are wanted: what
 * is right in these needs no cast.
 */
static Printed print_over(TreeArena *arena, const TreeNode *node, const Printed *operands,
			  const CType *loose)
{
	size_t n = node->n_operands;
	TreeNode **exact = tree_allocate(arena, n * sizeof(*exact));
	Printed *attempted = tree_allocate(arena, n * sizeof(*attempted));
	Printed printed = {.precedence = precedence_of(node)};
	TreeNode *expected;

	if (!exact || !attempted)
		return FAILED;
	for (size_t i = 0; i < n; i++)
		exact[i] = operands[i].exact;
	arena->n_nodes = 0;
	expected = tree_operation(arena, node->op, n, exact);
	for (size_t attempt = 0; attempt < sizeof(ATTEMPTS) / sizeof(ATTEMPTS[0]); attempt++) {
		arena->n_nodes = 0;
		memcpy(attempted, operands, n * sizeof(*attempted));
		cast_operands(arena, node, &ATTEMPTS[attempt], attempted);
		if (arena->failure != 0)
			return FAILED;
		printed.text = join(arena, node, attempted);
		printed.value = apply(arena, node->op, attempted, n);
		printed.exact = value_settled(arena, printed.value);
		if (arena->failure == 1) {
			/* What this would mean is an error: not in this way, then. */
			arena->failure = 0;
			continue;
		}
		if (arena->failure != 0 || !expected)
			return FAILED;
		if (printed.value.node->op == TREE_CONSTANT)
			continue;
		if (tree_equal(printed.exact, expected) ||
		    (loose && same_type(printed.value.type, *loose) &&
		     tree_equal(printed.value.node, expected)))
			return printed;
	}
	if (!printed.value.node) {
		tree_fail_errno(arena, -EINVAL);
		return FAILED;
	}
	if (printed.value.node->op == TREE_CONSTANT)
		return print_constant(arena, printed.value.node, false);
	return printed;
}

/* As a string of C. */
static char *quoted(TreeArena *arena, const char *text)
{
	char *quoted = tree_allocate(arena, strlen(text) * 4 + 3), *p = quoted;

	if (!quoted)
		return NULL;
	*p++ = '"';
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (*s == '"' || *s == '\\')
			*p++ = '\\';
		if (*s >= 0x20 && *s != 0x7f)
			*p++ = (char)*s;
		else
			p += sprintf(p, "\\%03o", *s);
	}
	*p = '"';
	return quoted;
}

static Printed print_text_operation(TreeArena *arena, const TreeNode *node)
{
	const TreeNode *at = node->operands[0];
	Printed address = at->op == TREE_CONSTANT ? print_constant(arena, at, true)
						  : print_node(arena, at, NULL);
	const char *name = node->op == TREE_STRING_EQUALS   ? "streq"
			   : node->op == TREE_STRING_STARTS ? "strstarts"
							    : "bytes_equal";
	Printed printed = {.precedence = PRECEDENCE_PRIMARY};
	char *text = quoted(arena, node->name);

	if (!address.text || !text)
		return FAILED;
	printed.text = format(arena, "%s(%s, %s)", name, address.text, text);
	address.value = value_converted(arena, address.value, C_ULONG);
	printed.exact = tree_text_operation(arena, node->op, address.value.node, node->name);
	printed.value = value_of(printed.exact, C_INT);
	return printed;
}

static Printed print_node(TreeArena *arena, const TreeNode *node, const CType *loose)
{
	Printed *operands;

	switch (node->op) {
	case TREE_CONSTANT:
		return print_constant(arena, node, false);
	case TREE_REGISTER:
	case TREE_PARAMETER:
	case TREE_VARIABLE:
		return print_leaf(arena, node);
	case TREE_LOAD:
		return print_load(arena, node);
	case TREE_AS:
		return print_as(arena, node);
	case TREE_STRING_EQUALS:
	case TREE_STRING_STARTS:
	case TREE_BYTES_EQUAL:
		return print_text_operation(arena, node);
	default:
		break;
	}
	operands = tree_allocate(arena, node->n_operands * sizeof(*operands));
	for (size_t i = 0; operands && i < node->n_operands; i++) {
		operands[i] = print_node(arena, node->operands[i], NULL);
		if (!operands[i].text)
			return FAILED;
	}
	return operands ? print_over(arena, node, operands, loose) : FAILED;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* Collects the names of parameters below a node, with repetitions. */
static size_t collect_parameters(const TreeNode *node, const char **ret, size_t n)
{
	if (node->op == TREE_PARAMETER && ret)
		ret[n] = node->name;
	n += node->op == TREE_PARAMETER;
	for (size_t i = 0; i < node->n_operands; i++)
		n = collect_parameters(node->operands[i], ret, n);
	return n;
}

/* Whether the text compiles to the tree. */
static bool compiles_to(TreeArena *arena, const char *text, const TreeNode *exact)
{
	size_t n = collect_parameters(exact, NULL, 0);
	const char **names = tree_allocate(arena, (n + 1) * sizeof(*names));
	bpcond_text_scope scope = {
		.parameters = names, .n_parameters = n, .data_breakpoint = 1, .lent_filter = 1};
	TreeNode *node;

	if (!names)
		return false;
	collect_parameters(exact, names, 0);
	arena->n_nodes = 0;
	node = value_settled(arena, text_parse(arena, text, &scope));
	return node && tree_equal(node, exact);
}

int text_print(TreeArena *arena, const TreeNode *node, char **ret)
{
	Printed printed = print_node(arena, node, NULL);
	char *text;

	if (printed.text && arena->failure == 0 &&
	    !compiles_to(arena, printed.text, value_settled(arena, printed.value)))
		tree_fail_errno(arena, -EINVAL);
	if (arena->failure != 0)
		return arena->failure == 1 ? -EINVAL : arena->failure;
	text = strdup(printed.text);
	if (!text)
		return -ENOMEM;
	*ret = text;
	return 0;
}
