/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hit records: what is whole is read right, what is not is refused, and the JSON form to the letter. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpcond/bpcond.h"
#include "bpf/machine.h"

/* The record under test: as long as it says, in a block of its own, so that ASan sees an overread. */
typedef struct Record {
	struct bpcond_hit *hit;
	size_t size;
} Record;

static Record record_new(void)
{
	Record record = {.hit = calloc(1, sizeof(struct bpcond_hit)), .size = sizeof(*record.hit)};

	ck_assert_ptr_nonnull(record.hit);
	*record.hit = (struct bpcond_hit){
		.size = sizeof(struct bpcond_hit),
		.version = BPCOND_LAYOUT_VERSION,
		.breakpoint = 1,
		.cpu = 1,
		.pid = 71,
		.tid = 72,
		.sequence = 0,
		.time = 123456789,
		.address = 0x401136,
	};
	return record;
}

static void append(Record *record, const void *bytes, size_t size)
{
	record->hit = realloc(record->hit, record->size + size);
	ck_assert_ptr_nonnull(record->hit);
	memcpy((char *)record->hit + record->size, bytes, size);
	record->size += size;
	record->hit->size = (uint32_t)record->size;
}

static void append_number(Record *record, uint64_t number)
{
	append(record, &number, sizeof(number));
}

static void append_memory(Record *record, uint64_t at, const void *bytes, uint32_t length,
			  uint32_t readable)
{
	const struct bpcond_memory head = {.at = at, .length = length, .read = readable};
	static const char zeros[8];

	append(record, &head, sizeof(head));
	append(record, bytes, length);
	append(record, zeros, (8 - length % 8) % 8);
	record->hit->memory_count++;
}

/* Two registers and one that the record has not, by the machine. */
#if MACHINE_X86
#define FIRST       BPCOND_REG_RAX
#define FIRST_NAME  "rax"
#define SECOND      BPCOND_REG_RDI
#define SECOND_NAME "rdi"
#define PC_NAME     "rip"
#define ABSENT_NAME "rbx"
#elif MACHINE_ARM64
#define FIRST       BPCOND_REG_X0
#define FIRST_NAME  "x0"
#define SECOND      BPCOND_REG_X29
#define SECOND_NAME "x29"
#define PC_NAME     "pc"
#define ABSENT_NAME "x1"
#endif

/* Registers, two pieces of memory (one cut short), a stack of two. */
static Record full_record(void)
{
	Record record = record_new();

	record.hit->register_mask = 1ULL << FIRST | 1ULL << SECOND | 1ULL << BPCOND_REG_PC;
	append_number(&record, 0x11);
	append_number(&record, 0x1f4);
	append_number(&record, 0xffffffffffffffff);
	append_memory(&record, 0x7ffe0, "\x00\xff", 2, 2);
	append_memory(&record, 0x8000, "abcdef\0\0\0", 9, 6);
	append_number(&record, 0x401136);
	append_number(&record, 0x401200);
	record.hit->stack_count = 2;
	return record;
}

static void assert_json(const Record *record, const char *expected)
{
	char *json = NULL;

	ck_assert_int_eq(bpcond_hit_to_json(record->hit, &json), 0);
	ck_assert_str_eq(json, expected);
	free(json);
}

static int check(const Record *record)
{
	return bpcond_hit_check(record->hit, record->size);
}

START_TEST(test_empty)
{
	Record record = record_new();
	const uint64_t *stack;
	bpcond_piece piece;
	uint64_t value;

	ck_assert_int_eq(check(&record), 0);
	for (int id = 0; id < BPCOND_REG_COUNT; id++)
		ck_assert_int_eq(bpcond_hit_register(record.hit, (enum bpcond_register)id, &value),
				 -ENODATA);
	ck_assert_int_eq(bpcond_hit_memory(record.hit, 0, &piece), -ENODATA);
	ck_assert_uint_eq(bpcond_hit_stack(record.hit, &stack), 0);
	assert_json(&record, "{\"breakpoint\":1,\"sequence\":0,\"pid\":71,\"tid\":72,\"cpu\":1,"
			     "\"time\":123456789,\"address\":\"0x401136\",\"flags\":[],"
			     "\"registers\":{},\"memory\":[],\"stack\":[]}");
	free(record.hit);
}
END_TEST

START_TEST(test_full)
{
	Record record = full_record();
	const uint64_t *stack = NULL;
	bpcond_piece piece;
	uint64_t value;

	ck_assert_int_eq(check(&record), 0);
	ck_assert_int_eq(bpcond_hit_register(record.hit, FIRST, &value), 0);
	ck_assert_uint_eq(value, 0x11);
	ck_assert_int_eq(bpcond_hit_register_by_name(record.hit, SECOND_NAME, &value), 0);
	ck_assert_uint_eq(value, 0x1f4);
	ck_assert_int_eq(bpcond_hit_register_by_name(record.hit, PC_NAME, &value), 0);
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert_int_eq(bpcond_hit_register_by_name(record.hit, ABSENT_NAME, &value), -ENODATA);
	ck_assert_int_eq(bpcond_hit_register_by_name(record.hit, "xmm0", &value), -ENODATA);

	ck_assert_int_eq(bpcond_hit_memory(record.hit, 1, &piece), 0);
	ck_assert_uint_eq(piece.at, 0x8000);
	ck_assert_uint_eq(piece.length, 9);
	ck_assert_uint_eq(piece.read, 6);
	ck_assert_mem_eq(piece.bytes, "abcdef", 6);
	ck_assert_int_eq(bpcond_hit_memory(record.hit, 2, &piece), -ENODATA);

	ck_assert_uint_eq(bpcond_hit_stack(record.hit, &stack), 2);
	ck_assert_uint_eq(stack[0], 0x401136);
	ck_assert_uint_eq(stack[1], 0x401200);
	assert_json(&record, "{\"breakpoint\":1,\"sequence\":0,\"pid\":71,\"tid\":72,\"cpu\":1,"
			     "\"time\":123456789,\"address\":\"0x401136\",\"flags\":[],"
			     "\"registers\":{\"" FIRST_NAME "\":\"0x11\",\"" SECOND_NAME
			     "\":\"0x1f4\",\"" PC_NAME "\":\"0xffffffffffffffff\"},"
			     "\"memory\":[{\"at\":\"0x7ffe0\",\"data\":\"00ff\",\"read\":2},"
			     "{\"at\":\"0x8000\",\"data\":\"616263646566\",\"read\":6}],"
			     "\"stack\":[\"0x401136\",\"0x401200\"]}");
	free(record.hit);
}
END_TEST

START_TEST(test_extremes)
{
	Record record = record_new();

	record.hit->breakpoint = UINT32_MAX;
	record.hit->cpu = UINT32_MAX;
	record.hit->pid = UINT32_MAX;
	record.hit->tid = UINT32_MAX;
	record.hit->sequence = UINT64_MAX;
	record.hit->time = UINT64_MAX;
	record.hit->address = UINT64_MAX;
	record.hit->flags = BPCOND_HIT_FAULT | BPCOND_HIT_FROM_KERNEL | BPCOND_HIT_UNSIGNALLED |
			    BPCOND_HIT_BEFORE_ACCESS;
	assert_json(&record, "{\"breakpoint\":4294967295,\"sequence\":18446744073709551615,"
			     "\"pid\":4294967295,\"tid\":4294967295,\"cpu\":4294967295,"
			     "\"time\":18446744073709551615,\"address\":\"0xffffffffffffffff\","
			     "\"flags\":[\"fault\",\"from-kernel\",\"unsignalled\","
			     "\"before-access\"],"
			     "\"registers\":{},\"memory\":[],\"stack\":[]}");
	free(record.hit);
}
END_TEST

START_TEST(test_all_registers)
{
	Record record = record_new();
	uint64_t value;

	record.hit->register_mask = (UINT64_C(1) << BPCOND_REG_COUNT) - 1;
	for (uint64_t id = 0; id < BPCOND_REG_COUNT; id++)
		append_number(&record, 1000 + id);
	ck_assert_int_eq(check(&record), 0);
	for (int id = 0; id < BPCOND_REG_COUNT; id++) {
		const char *name = bpcond_register_name((enum bpcond_register)id);

		ck_assert_ptr_nonnull(name);
		ck_assert_int_eq(bpcond_register_by_name(name), id);
		ck_assert_int_eq(bpcond_hit_register_by_name(record.hit, name, &value), 0);
		ck_assert_uint_eq(value, 1000 + (uint64_t)id);
	}
	ck_assert_ptr_null(bpcond_register_name(BPCOND_REG_COUNT));
	ck_assert_int_eq(bpcond_register_by_name("eax"), -ENOENT);
	free(record.hit);
}
END_TEST

/* Any cut, and any size that is not the record's own, is refused. */
START_TEST(test_cut)
{
	Record record = full_record();

	for (size_t size = 0; size < record.size; size++) {
		struct bpcond_hit *cut = malloc(size > 0 ? size : 1);
		char *json;

		ck_assert_ptr_nonnull(cut);
		memcpy(cut, record.hit, size);
		ck_assert_int_eq(bpcond_hit_check(cut, size), -EBADMSG);
		/* Also when its own size says that it is so short. */
		if (size >= sizeof(*cut)) {
			cut->size = (uint32_t)size;
			ck_assert_int_eq(bpcond_hit_check(cut, size), -EBADMSG);
			ck_assert_int_eq(bpcond_hit_to_json(cut, &json), -EBADMSG);
		}
		free(cut);
	}
	free(record.hit);
}
END_TEST

/* Room for more return addresses than there were is part of the record and not of the hit. */
START_TEST(test_room_behind)
{
	Record record = full_record();
	const uint64_t *stack;
	char *before = NULL;

	ck_assert_int_eq(bpcond_hit_to_json(record.hit, &before), 0);
	for (int i = 0; i < 14; i++)
		append_number(&record, 0xdead);
	ck_assert_int_eq(check(&record), 0);
	ck_assert_uint_eq(bpcond_hit_stack(record.hit, &stack), 2);
	assert_json(&record, before);
	/* But a size that is not whole words is wrong. */
	append(&record, "\0\0\0\0", 4);
	ck_assert_int_eq(check(&record), -EBADMSG);
	free(before);
	free(record.hit);
}
END_TEST

START_TEST(test_wrong)
{
	Record record = full_record();
	struct bpcond_memory *piece;

	record.hit->version++;
	ck_assert_int_eq(check(&record), -EBADMSG);
	record.hit->version--;
	record.hit->flags = 1 << 4;
	ck_assert_int_eq(check(&record), -EBADMSG);
	record.hit->flags = 0;
	record.hit->register_mask |= UINT64_C(1) << BPCOND_REG_COUNT;
	ck_assert_int_eq(check(&record), -EBADMSG);
	record.hit->register_mask &= ~(UINT64_C(1) << BPCOND_REG_COUNT);
	record.hit->stack_count++;
	ck_assert_int_eq(check(&record), -EBADMSG);
	record.hit->stack_count--;
	record.hit->memory_count = UINT16_MAX;
	ck_assert_int_eq(check(&record), -EBADMSG);
	record.hit->memory_count = 2;
	ck_assert_int_eq(check(&record), 0);

	piece = (struct bpcond_memory *)((char *)record.hit + sizeof(*record.hit) + 24);
	ck_assert_uint_eq(piece->at, 0x7ffe0);
	piece->read = 3; /* more than was asked for */
	ck_assert_int_eq(check(&record), -EBADMSG);
	piece->read = 2;
	piece->length = UINT32_MAX; /* which wraps when it is rounded up in 32 bits */
	ck_assert_int_eq(check(&record), -EBADMSG);
	piece->length = 0xfffffff9;
	ck_assert_int_eq(check(&record), -EBADMSG);
	free(record.hit);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hit");
	TCase *tests = tcase_create("hit");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, test_empty);
	tcase_add_test(tests, test_full);
	tcase_add_test(tests, test_extremes);
	tcase_add_test(tests, test_all_registers);
	tcase_add_test(tests, test_cut);
	tcase_add_test(tests, test_room_behind);
	tcase_add_test(tests, test_wrong);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
