/* SPDX-License-Identifier: MIT */
/* Initializer, finalizer and log lines. initargs: [text, path of a file to be made in the end]. */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <procpool/module.h>

static char text[64];
static char path[256];
static int calls;

static int initialize(struct procpool_call *call)
{
	const char *argument;
	if (procpool_arg_check(call, 0, 2))
		return -1;
	if (procpool_arg_count(call) > 0) {
		if (procpool_arg_text(call, 0, &argument))
			return -1;
		if (strcmp(argument, "fail") == 0) {
			procpool_write_int(procpool_fail_data(call), 7);
			return procpool_fail(call, "InitError", "told to fail by worker %u of %u",
					     procpool_call_worker(call),
					     procpool_call_workers(call));
		}
		strncpy(text, argument, sizeof(text) - 1);
	}
	if (procpool_arg_count(call) > 1) {
		if (procpool_arg_text(call, 1, &argument))
			return -1;
		strncpy(path, argument, sizeof(path) - 1);
	}
	procpool_log(PROCPOOL_LOG_INFO, "%s in pool %s", procpool_call_function(call),
		     procpool_call_pool(call));
	return 0;
}

static void finalize(void)
{
	int fd = path[0] ? open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	if (fd >= 0)
		close(fd);
}

/* What the initializer was given, and how many times prepare() ran. */
static int state(struct procpool_call *call)
{
	struct procpool_writer *w = procpool_result(call);
	procpool_write_array(w, 2);
	procpool_write_string(w, text);
	procpool_write_int(w, calls);
	return 0;
}

static int prepare(struct procpool_call *call)
{
	calls++;
	return procpool_return_nil(call);
}

/* [job, attempt] */
static int task(struct procpool_call *call)
{
	struct procpool_writer *w = procpool_result(call);
	procpool_write_array(w, 2);
	procpool_write_uint(w, procpool_call_job(call));
	procpool_write_uint(w, procpool_call_attempt(call));
	return 0;
}

/* Tells each argument as its progress; which of them it could. */
static int report(struct procpool_call *call)
{
	struct procpool_writer *w = procpool_result(call);
	procpool_write_array(w, procpool_arg_count(call));
	for (size_t i = 0; i < procpool_arg_count(call); i++)
		procpool_write_bool(w, procpool_progress(call, procpool_arg(call, i)) == 0);
	return 0;
}

/* Tells how far it has come so often. */
static int flood(struct procpool_call *call)
{
	uint64_t total;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_uint(call, 0, &total))
		return -1;
	for (uint64_t done = 1; done <= total; done++)
		if (procpool_progress_of(call, done, total))
			return -1;
	return procpool_return_nil(call);
}

static void *log_line(void *data)
{
	procpool_log(PROCPOOL_LOG_WARNING, "from a\nthread\n");
	return data;
}

static int log_from_thread(struct procpool_call *call)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, log_line, NULL) != 0)
		return procpool_fail_memory(call);
	pthread_join(thread, NULL);
	return procpool_return_nil(call);
}

static const struct procpool_function functions[] = {
	{"state", NULL, state}, {"prepare", NULL, prepare},
	{"task", NULL, task},   {"report", NULL, report},
	{"flood", NULL, flood}, {"log_from_thread", NULL, log_from_thread},
};
PROCPOOL_MODULE("lifecycle", "Before the first and after the last.", functions, initialize,
		finalize);
