/* SPDX-License-Identifier: MIT */
/* A pool of one's own, as multiprocessing.Pool(n, initializer, initargs): 4 workers with the module
 * demo, each set up with the same arguments, add 1 to the numbers up to 100, and go.
 *
 *	cc own_pool.c $(pkg-config --cflags --libs procpool) && ./a.out
 *
 * A daemon that runs must do so as the same user; where none does, the program has one of its own.
 */
#include <procpool.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what, const struct procpool_outcome *out)
{
	fprintf(stderr, "%s: %s\n", what, out->message);
	return EXIT_FAILURE;
}

int main(void)
{
	static const char *const modules[] = {"demo", NULL};
	struct procpool_pool_options pool_options = PROCPOOL_POOL_OPTIONS_INIT;
	struct procpool_options options = PROCPOOL_OPTIONS_INIT;
	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
	struct procpool_writer initargs, items;
	struct procpool_value value;
	char pool[PROCPOOL_POOL_NAME_SIZE];
	struct procpool *pp;
	int64_t n, sum = 0;

	procpool_writer_init(&initargs);
	procpool_write_array(&initargs, 1);
	procpool_write_string(&initargs, "fast");
	pool_options.modules = modules;
	pool_options.workers = 4;
	pool_options.initargs = procpool_writer_value(&initargs);

	enum procpool_code code = procpool_connect(NULL, &pp, &out);
	if (code == PROCPOOL_ERR_NO_DAEMON)
		code = procpool_connect_private(NULL, NULL, &pp, &out);
	if (code != PROCPOOL_OK)
		return fail("connect", &out);
	if (procpool_pool_open(pp, &pool_options, pool, &out) != PROCPOOL_OK)
		return fail("open", &out);

	procpool_writer_init(&items);
	procpool_write_array(&items, 100);
	for (int64_t i = 1; i <= 100; i++)
		procpool_write_int(&items, i);
	options.pool = pool; /* there may be others with these functions */
	if (procpool_map(pp, "demo.inc", procpool_writer_value(&items), &options, &out) != 0)
		return fail("map", &out);
	struct procpool_iter it = procpool_iter(out.value);
	while (procpool_iter_next(&it, &value) && procpool_value_int(value, &n))
		sum += n;
	printf("%s: the numbers from 2 to 101 are %" PRId64 " together\n", pool, sum);

	/* Where the results are not waited for, this is how to know that all is done. */
	if (procpool_pool_close(pp, pool, &out) != PROCPOOL_OK ||
	    procpool_pool_join(pp, pool, -1, &out) != PROCPOOL_OK)
		return fail("join", &out);
	procpool_close(pp);
	procpool_writer_fini(&initargs);
	procpool_writer_fini(&items);
	procpool_outcome_fini(&out);
	return EXIT_SUCCESS;
}
