/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fuzzer's corpus as a regression test: feeds every file in the directories named on the command
 * line to the fuzzer's entry point, without libFuzzer. No file at all is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	LARGEST_INPUT = 1 << 20,
};

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

	for (int i = 1; i < argc; i++) {
		long n_files = run_directory(argv[i]);

		if (n_files < 0)
			return EXIT_FAILURE;
		total += n_files;
	}
	printf("%ld inputs\n", total);
	return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
