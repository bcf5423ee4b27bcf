/* SPDX-License-Identifier: MIT */
#include "fork.h"

#include <pthread.h>
#include <stdatomic.h>

/* The library's only state outside connections. Relaxed: it changes only in a child before fork()
 * returns there, when the child has one thread. */
static atomic_uint generation;
static int watch_error;

static void on_child(void)
{
	atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

static void watch_once(void)
{
	watch_error = pthread_atfork(NULL, NULL, on_child);
}

int fork_watch(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch_once);
	return -watch_error;
}

unsigned fork_generation(void)
{
	return atomic_load_explicit(&generation, memory_order_relaxed);
}
