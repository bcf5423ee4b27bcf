/* SPDX-License-Identifier: MIT */
/* Blocking use: the SHA-256 of each file named, computed by all workers at once.
 *
 *	cc map_files.c $(pkg-config --cflags --libs procpool) && ./a.out FILE... */
#include <procpool.h>

#include <stdio.h>
#include <stdlib.h>

/* One element: the function's value, or why there is none. */
static int print_element(const char *path, struct procpool_value pair)
{
	struct procpool_outcome one;
	const char *text = "no string";
	size_t size = 9;

	if (procpool_outcome_of_pair(pair, &one) == PROCPOOL_OK) {
		procpool_value_string(one.value, &text, &size);
		printf("%.*s  %s\n", (int)size, text, path);
		return EXIT_SUCCESS;
	}
	procpool_value_string(procpool_value_get(one.error, "message"), &text, &size);
	fprintf(stderr, "%s: %.*s\n", path, (int)size, text);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct procpool *pp;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	struct procpool_writer items;
	struct procpool_value pair;
	int status = EXIT_SUCCESS;

	procpool_writer_init(&items);
	procpool_write_array(&items, (size_t)argc - 1);
	for (int i = 1; i < argc; i++) {
		char *path = realpath(argv[i], NULL); /* workers have their own directory */
		procpool_write_string(&items, path ? path : argv[i]);
		free(path);
	}
	options.collect = true; /* a file that cannot be read fails alone */
	if (procpool_connect(NULL, &pp, &out) != PROCPOOL_OK ||
	    procpool_map(pp, "digest.sha256", procpool_writer_value(&items), &options, &out) != 0) {
		fprintf(stderr, "%s\n", out.message);
		return EXIT_FAILURE;
	}
	struct procpool_iter it = procpool_iter(out.value);
	for (int i = 1; procpool_iter_next(&it, &pair); i++)
		status |= print_element(argv[i], pair);

	procpool_close(pp);
	procpool_writer_fini(&items);
	procpool_outcome_fini(&out);
	return status;
}
