/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without a fuzzer, as a test that takes a second: on each seed, and on random
 * changes of them, the same in every run. Seeds are the golden vectors of files *.json, and the
 * paragraphs of other files.
 *
 *	fuzz_request RUNS SEEDS...
 *	fuzz_request --corpus DIR SEEDS...	writes the seeds as files, a corpus for libFuzzer
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define SEEDS_MAX 2000
#define INPUT_MAX 4096

struct seed {
	uint8_t *data;
	size_t size;
};

static struct seed seeds[SEEDS_MAX];
static size_t seed_count;

static uint64_t next_random(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static size_t below(size_t n)
{
	return (size_t)(next_random() % n);
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	long size = -1;
	char *text = NULL;
	if (file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
	    fseek(file, 0, SEEK_SET) == 0 && (text = calloc(1, (size_t)size + 1)) &&
	    fread(text, 1, (size_t)size, file) != (size_t)size) {
		free(text);
		text = NULL;
	}
	if (file)
		fclose(file);
	return text;
}

static void add_seed(uint8_t *data, size_t size)
{
	if (!data)
		abort();
	seeds[seed_count++] = (struct seed){data, size};
}

static void add_vector(const char *hex)
{
	size_t size = strspn(hex, "0123456789abcdef") / 2;
	if (size == 0 || seed_count == SEEDS_MAX)
		return;
	uint8_t *data = malloc(size);
	if (!data)
		abort();
	for (size_t i = 0; i < size; i++) {
		char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
		data[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	add_seed(data, size);
}

static void add_paragraphs(const char *text)
{
	while (*text && seed_count < SEEDS_MAX) {
		const char *end = strstr(text, "\n\n");
		size_t size = end ? (size_t)(end - text) + 1 : strlen(text);
		add_seed((uint8_t *)strndup(text, size), size);
		text += end ? size + 1 : size;
	}
}

/* Every "hex" of a file of vectors; what else stands there is of no interest here. */
static bool load(const char *path)
{
	static const char key[] = "\"hex\": \"";
	char *text = read_file(path);
	if (!text)
		return false;
	if (!strstr(path, ".json"))
		add_paragraphs(text);
	for (const char *p = strstr(text, key); p; p = strstr(p, key)) {
		p += sizeof(key) - 1;
		add_vector(p);
	}
	free(text);
	return true;
}

static bool write_corpus(const char *dir)
{
	for (size_t i = 0; i < seed_count; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/vector-%zu", dir, i);
		FILE *file = fopen(path, "wb");
		if (!file || fwrite(seeds[i].data, 1, seeds[i].size, file) != seeds[i].size ||
		    fclose(file) != 0)
			return false;
	}
	return true;
}

/* One change at a random place: a byte, a bit, a byte more or less, a piece of another seed. */
static size_t change(uint8_t *input, size_t size)
{
	static const uint8_t headers[] = {0x00, 0x7f, 0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc6, 0xc9,
					  0xcf, 0xd3, 0xd9, 0xdb, 0xdc, 0xdd, 0xdf, 0xff, '"',
					  '\\', '\n', '{',  '}',  '$',  '#',  '/',  '|'};
	size_t at = below(size);
	switch (below(6)) {
	case 0:
		input[at] = (uint8_t)next_random();
		break;
	case 1:
		input[at] ^= (uint8_t)(1U << below(8));
		break;
	case 2:
		input[at] = headers[below(sizeof(headers))];
		break;
	case 3:
		if (size > 1) {
			memmove(input + at, input + at + 1, size - at - 1);
			size--;
		}
		break;
	case 4:
		if (size < INPUT_MAX) {
			memmove(input + at + 1, input + at, size - at);
			size++;
		}
		break;
	default: {
		const struct seed *other = &seeds[below(seed_count)];
		size_t from = below(other->size), take = below(other->size - from) + 1;
		take = take < INPUT_MAX - at ? take : INPUT_MAX - at;
		memcpy(input + at, other->data + from, take);
		size = at + take > size ? at + take : size;
	}
	}
	return size;
}

/* The target sees a copy that ends where the input ends, so that ASan sees a read beyond. */
static void run_copy(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run(unsigned long runs)
{
	LLVMFuzzerTestOneInput(NULL, 0);
	for (size_t i = 0; i < seed_count; i++)
		run_copy(seeds[i].data, seeds[i].size);
	for (unsigned long i = 0; i < runs; i++) {
		uint8_t input[INPUT_MAX];
		const struct seed *seed = &seeds[below(seed_count)];
		size_t size = seed->size < INPUT_MAX ? seed->size : INPUT_MAX;
		memcpy(input, seed->data, size);
		for (size_t changes = 1 + below(6); changes > 0; changes--)
			size = change(input, size);
		run_copy(input, size);
	}
}

int main(int argc, char **argv)
{
	int first = argc > 1 && strcmp(argv[1], "--corpus") == 0 ? 3 : 2;
	for (int i = first; i < argc; i++) {
		if (!load(argv[i])) {
			fprintf(stderr, "%s: cannot be read\n", argv[i]);
			return EXIT_FAILURE;
		}
	}
	if (seed_count < 10) {
		fprintf(stderr, "usage: %s RUNS SEEDS... | --corpus DIR SEEDS...\n", argv[0]);
		return EXIT_FAILURE;
	}
	if (first == 3 && !write_corpus(argv[2])) {
		perror(argv[2]);
		return EXIT_FAILURE;
	}
	if (first == 2)
		run(strtoul(argv[1], NULL, 10));
	for (size_t i = 0; i < seed_count; i++)
		free(seeds[i].data);
	return EXIT_SUCCESS;
}
