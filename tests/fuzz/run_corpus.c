/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fuzzer's corpus as a regression test: feeds every file in the directories named on the command
 * line to the fuzzer's entry point, without libFuzzer, and some mutations of each if the fuzzer has a
 * mutator of its own. No file at all is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a fuzzer may have or leave out. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
#pragma weak LLVMFuzzerCustomMutator

enum {
	LARGEST_INPUT = 1 << 20,
	LARGEST_MUTATION = 1 << 14,
	MUTATIONS = 8,
};

/* In libFuzzer's place. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	if (size == 0)
		return 0;
	data[size / 2] ^= 1;
	return size < max_size ? size : max_size;
}

/* Each one is a mutation of the one before it. */
static void run_mutations(const char *name, uint8_t *data, size_t size)
{
	unsigned int seed = 0;

	if (size > LARGEST_MUTATION)
		return;
	for (const char *p = name; *p != '\0'; p++)
		seed = seed * 31 + (unsigned char)*p;
	for (int i = 0; i < MUTATIONS; i++) {
		size = LLVMFuzzerCustomMutator(data, size, LARGEST_MUTATION, seed + i);
		LLVMFuzzerTestOneInput(data, size);
	}
}

static int run_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(LARGEST_INPUT);
	size_t size;
	int r = -1;

	if (file != NULL && data != NULL) {
		size = fread(data, 1, LARGEST_INPUT, file);
		if (ferror(file) == 0)
			r = LLVMFuzzerTestOneInput(data, size);
		if (r == 0 && LLVMFuzzerCustomMutator)
			run_mutations(strrchr(path, '/') + 1, data, size);
	}
	if (r != 0)
		fprintf(stderr, "%s cannot be run\n", path);
	if (file != NULL)
		fclose(file);
	free(data);
	return r;
}

/* Return: files run, or -1. */
static long run_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	long n_files = 0;

	if (directory == NULL) {
		perror(path);
		return -1;
	}
	for (;;) {
		char *file_path;
		int r;

		entry = readdir(directory);
		if (entry == NULL)
			break;
		if (entry->d_name[0] == '.')
			continue;
		r = asprintf(&file_path, "%s/%s", path, entry->d_name);
		if (r >= 0) {
			/* So that an abort says what it was about. */
			fprintf(stderr, "%s\n", entry->d_name);
			r = run_file(file_path);
			free(file_path);
		}
		if (r < 0) {
			n_files = -1;
			break;
		}
		n_files++;
	}
	closedir(directory);
	return n_files;
}

int main(int argc, char *argv[])
{
	long total = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		long n_files = run_directory(argv[i]);

		if (n_files < 0)
			return EXIT_FAILURE;
		total += n_files;
	}
	printf("%ld inputs\n", total);
	return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
