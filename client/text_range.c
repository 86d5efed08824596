/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interval arithmetic over the tree's 64-bit operators. Bounds are computed in 128 bits; whatever can
 * leave 64 bits, and so wraps, gets the whole range of its type. An interval that is too wide costs one
 * superfluous `as`; one that is too narrow would make a condition wrong. So in doubt: wide.
 */
#include "client/text_range.h"

static Range whole(bool is_u64)
{
	return range_of_type(is_u64 ? TREE_U64 : TREE_S64);
}

Range range_of_type(TreeType type)
{
	unsigned bits = tree_type_size(type) * 8;
	__int128 one = 1;

	if (tree_type_is_signed(type))
		return (Range){-(one << (bits - 1)), (one << (bits - 1)) - 1, false};
	return (Range){0, (one << bits) - 1, type == TREE_U64};
}

Range range_of_constant(uint64_t bits, bool is_u64)
{
	__int128 value = is_u64 ? (__int128)bits : (__int128)(int64_t)bits;

	return (Range){value, value, is_u64};
}

/* The operand as an operation of the given type reads it. */
static Range read_as(Range range, bool is_u64)
{
	__int128 turn = (__int128)1 << 64;

	if (range.is_u64 || !is_u64)
		return range;
	if (range.low >= 0)
		return (Range){range.low, range.high, true};
	if (range.high < 0)
		return (Range){range.low + turn, range.high + turn, true};
	return whole(true);
}

/* The interval if it does not wrap. */
static Range checked(__int128 low, __int128 high, bool is_u64)
{
	Range range = {low, high, is_u64};

	return range_within(range, whole(is_u64)) ? range : whole(is_u64);
}

static __int128 least(__int128 a, __int128 b)
{
	return a < b ? a : b;
}

static __int128 greatest(__int128 a, __int128 b)
{
	return a > b ? a : b;
}

static Range multiply(Range a, Range b, bool is_u64)
{
	const __int128 x[] = {a.low, a.high}, y[] = {b.low, b.high};
	__int128 low = 0, high = 0, product;
	bool first = true;

	for (size_t i = 0; i < 4; i++) {
		if (__builtin_mul_overflow(x[i / 2], y[i % 2], &product))
			return whole(is_u64);
		low = first ? product : least(low, product);
		high = first ? product : greatest(high, product);
		first = false;
	}
	return checked(low, high, is_u64);
}

static Range divide(Range a, bool is_u64)
{
	__int128 most;

	if (is_u64)
		return (Range){0, a.high, true};
	most = greatest(-a.low, a.high);
	most = greatest(most, -a.high);
	return checked(-most, most, false);
}

/* The remainder has the sign of the dividend and is no greater in magnitude than either. */
static Range modulo(Range a, Range b, bool is_u64)
{
	__int128 most = greatest(greatest(b.low, -b.low), greatest(b.high, -b.high)) - 1;

	if (most < 0)
		most = 0;
	return (Range){a.low < 0 ? greatest(a.low, -most) : 0, a.high > 0 ? least(a.high, most) : 0,
		       is_u64};
}

/* All ones from the highest bit of value >= 0 down. */
static __int128 filled(__int128 value)
{
	__int128 ones = 0;

	while (ones < value)
		ones = ones * 2 + 1;
	return ones;
}

/* For & | ^ of operands one of which may be negative: what fits n bits and a sign stays there. */
static Range bits_with_sign(Range a, Range b)
{
	__int128 most = greatest(greatest(a.high, -a.low - 1), greatest(b.high, -b.low - 1));

	most = filled(greatest(most, 0));
	return (Range){-most - 1, most, false};
}

static Range bit_and(Range a, Range b, bool is_u64)
{
	if (a.low >= 0 && b.low >= 0)
		return (Range){0, least(a.high, b.high), is_u64};
	if (a.low >= 0)
		return (Range){0, a.high, is_u64};
	if (b.low >= 0)
		return (Range){0, b.high, is_u64};
	return bits_with_sign(a, b);
}

static Range bit_or_xor(Range a, Range b, bool is_u64)
{
	if (a.low >= 0 && b.low >= 0)
		return (Range){0, filled(greatest(a.high, b.high)), is_u64};
	return bits_with_sign(a, b);
}

static Range shift_left(Range a, Range count, bool is_u64)
{
	if (count.low < 0 || count.high > 63)
		return whole(is_u64);
	return multiply(a, (Range){(__int128)1 << count.low, (__int128)1 << count.high, is_u64},
			is_u64);
}

static Range shift_right(Range a, Range count, bool is_u64)
{
	if (count.low == count.high && count.low >= 0 && count.low <= 63)
		return (Range){a.low >> count.low, a.high >> count.low, is_u64};
	return (Range){least(a.low, 0), greatest(a.high, a.low < 0 ? -1 : 0), is_u64};
}

static Range binary(TreeOp op, Range left, Range right)
{
	bool is_u64 = left.is_u64 || right.is_u64;
	Range a = read_as(left, is_u64), b = read_as(right, is_u64);

	switch (op) {
	case TREE_ADD:
		return checked(a.low + b.low, a.high + b.high, is_u64);
	case TREE_SUBTRACT:
		return checked(a.low - b.high, a.high - b.low, is_u64);
	case TREE_MULTIPLY:
		return multiply(a, b, is_u64);
	case TREE_DIVIDE:
		return divide(a, is_u64);
	case TREE_MODULO:
		return modulo(a, b, is_u64);
	case TREE_BIT_AND:
		return bit_and(a, b, is_u64);
	case TREE_BIT_OR:
	case TREE_BIT_XOR:
		return bit_or_xor(a, b, is_u64);
	case TREE_SHIFT_LEFT:
		return shift_left(a, right, is_u64);
	case TREE_SHIFT_RIGHT:
		return shift_right(a, right, is_u64);
	default:
		return whole(is_u64);
	}
}

static Range either(Range left, Range right)
{
	bool is_u64 = left.is_u64 || right.is_u64;
	Range a = read_as(left, is_u64), b = read_as(right, is_u64);

	return (Range){least(a.low, b.low), greatest(a.high, b.high), is_u64};
}

Range range_of_operation(TreeOp op, const Range *operands, size_t n)
{
	Range range;

	switch (op) {
	case TREE_IF:
		return either(operands[1], operands[2]);
	case TREE_BIT_NOT:
		return binary(TREE_SUBTRACT, (Range){-1, -1, false}, operands[0]);
	case TREE_ADD:
	case TREE_SUBTRACT:
	case TREE_MULTIPLY:
	case TREE_DIVIDE:
	case TREE_MODULO:
	case TREE_BIT_AND:
	case TREE_BIT_OR:
	case TREE_BIT_XOR:
	case TREE_SHIFT_LEFT:
	case TREE_SHIFT_RIGHT:
		if (n == 1)
			return binary(op, (Range){0, 0, false}, operands[0]);
		range = operands[0];
		for (size_t i = 1; i < n; i++)
			range = binary(op, range, operands[i]);
		return range;
	default:
		return (Range){0, 1, false};
	}
}
