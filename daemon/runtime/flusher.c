/* SPDX-License-Identifier: MIT */
#include "runtime/flusher.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "proto/worker.h"

#define LINGER_TICKS 40 /* how long the thread keeps looking when there is nothing, 20 ms */
#define STACK_BYTES  (256U << 10)

void flusher_init(struct flusher *flusher, struct outbox *outbox)
{
	*flusher = (struct flusher){.lock = LOCK_INIT, .outbox = outbox};
	sem_init(&flusher->wake, 0, 0);
	flusher_restart_clock(flusher);
}

uint64_t flusher_clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void flusher_restart_clock(struct flusher *flusher)
{
	flusher->run_began_ns = flusher_clock_ns();
}

/* Accounts so many ns to the run that ends; what is less than a microsecond is left for the next.
 */
static uint32_t take(struct flusher *flusher, uint64_t ns)
{
	uint64_t us = ns / 1000;
	flusher->run_began_ns += us * 1000;
	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

uint32_t flusher_take_time(struct flusher *flusher)
{
	return take(flusher, flusher_clock_ns() - flusher->run_began_ns);
}

void flusher_close_run(struct flusher *flusher)
{
	uint32_t values = flusher->outbox->values;
	if (values == 0)
		return;
	uint64_t ns = flusher_clock_ns() - flusher->run_began_ns;
	flusher->element_ns = ns / values;
	outbox_close_run(flusher->outbox, take(flusher, ns));
}

static int write_out(struct flusher *flusher)
{
	atomic_store_explicit(&flusher->armed, false, memory_order_relaxed);
	atomic_store_explicit(&flusher->wanted, false, memory_order_relaxed);
	return outbox_flush(flusher->outbox);
}

int flusher_flush(struct flusher *flusher)
{
	if (outbox_is_empty(flusher->outbox))
		return 0;
	flusher_close_run(flusher);
	int r = write_out(flusher);
	flusher_restart_clock(flusher);
	return r;
}

int flusher_flush_early(struct flusher *flusher)
{
	uint64_t passed = flusher_clock_ns() - flusher->run_began_ns;
	uint64_t estimate = flusher->element_ns * flusher->outbox->values;
	if (flusher->outbox->values > 0)
		outbox_close_run(flusher->outbox,
				 take(flusher, estimate < passed ? estimate : passed));
	return write_out(flusher);
}

/* One look. */
static void tick(struct flusher *flusher)
{
	if (!lock_try(&flusher->lock)) {
		atomic_store_explicit(&flusher->wanted, true, memory_order_relaxed);
		return;
	}
	/* A failure is met again by the worker, when it writes or reads. */
	flusher_flush_early(flusher);
	lock_release(&flusher->lock);
}

static void *run(void *data)
{
	struct flusher *flusher = data;
	const struct timespec pause = {.tv_nsec = FLUSHER_TICK_US * 1000};
	pthread_setname_np(pthread_self(), "procpool-flush");
	for (int idle = 0;;) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		if (atomic_load_explicit(&flusher->armed, memory_order_relaxed)) {
			idle = 0;
			tick(flusher);
		} else if (++idle >= LINGER_TICKS) {
			/* Either the worker sees that this thread parks, or this sees that it
			 * armed. */
			atomic_store(&flusher->parked, true);
			if (!atomic_load(&flusher->armed))
				while (sem_wait(&flusher->wake) != 0)
					;
			atomic_store(&flusher->parked, false);
			idle = 0;
		}
	}
	return NULL;
}

static void start(struct flusher *flusher)
{
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all;
	flusher->started = true;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setsigmask_np(&attributes, &all);
	flusher->unavailable = pthread_create(&thread, &attributes, run, flusher) != 0;
	pthread_attr_destroy(&attributes);
}

int flusher_arm(struct flusher *flusher)
{
	if (atomic_load_explicit(&flusher->armed, memory_order_relaxed))
		return 0;
	if (!flusher->started)
		start(flusher);
	if (flusher->unavailable)
		return flusher_flush(flusher);
	atomic_store(&flusher->armed, true);
	if (atomic_load(&flusher->parked) && atomic_exchange(&flusher->parked, false))
		sem_post(&flusher->wake);
	return 0;
}

void flusher_send_early(struct flusher *flusher, struct procpool_value message)
{
	if (flusher_flush_early(flusher) == 0 && message.size > 0 &&
	    outbox_add(flusher->outbox, message, (struct procpool_value){0}) == 0)
		outbox_flush(flusher->outbox);
}

void flusher_send(struct flusher *flusher, struct procpool_value message)
{
	lock_take(&flusher->lock);
	flusher_send_early(flusher, message);
	lock_release(&flusher->lock);
}

void flusher_log(struct flusher *flusher, const char *level, const char *text)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_array(&w, 3);
	procpool_write_int(&w, MSG_LOG);
	procpool_write_string(&w, level);
	procpool_write_string(&w, text);

	flusher_send(flusher, procpool_writer_value(&w));
	procpool_writer_fini(&w);
}
