/* SPDX-License-Identifier: MIT */
/*
 * The module `probe`: functions that only tests want. They show what a worker does (marks in a
 * file), hold it at a place where the test can rely on it (a FIFO), and end in every way a function
 * can end.
 */
#include <procpool/module.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t *initargs;
static size_t initargs_size;

static int fail_errno(struct procpool_call *call, const char *path)
{
	return procpool_fail(call, "OSError", "%s: %s", path, strerror(errno));
}

/* Opening blocks until the test opens the other side, reading until it closes it. */
static int pass_gate(struct procpool_call *call, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(call, path);
	char c;
	while (read(fd, &c, 1) > 0)
		;
	close(fd);
	return 0;
}

static int append(struct procpool_call *call, const char *path, const char *text)
{
	char line[256];
	int size = snprintf(line, sizeof(line), "%s\n", text);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, line, (size_t)size) != size) {
		int result = fail_errno(call, path);
		if (fd >= 0)
			close(fd);
		return result;
	}
	close(fd);
	return 0;
}

static int hold(struct procpool_call *call)
{
	const char *path;
	if (procpool_arg_check(call, 1, 1))
		return -1;
	if (procpool_value_type(procpool_arg(call, 0)) != PROCPOOL_STRING)
		return procpool_return_value(call, procpool_arg(call, 0));
	if (procpool_arg_text(call, 0, &path))
		return -1;
	return pass_gate(call, path);
}

static int hog(struct procpool_call *call)
{
	const char *path;
	int64_t size;
	if (procpool_arg_check(call, 2, 2) || procpool_arg_int(call, 0, &size) ||
	    procpool_arg_text(call, 1, &path))
		return -1;
	volatile char *memory = malloc((size_t)size);
	if (!memory)
		return procpool_fail(call, "probe.NoMemory", "no memory");
	for (int64_t i = 0; i < size; i += 4096)
		memory[i] = 1;
	int r = pass_gate(call, path);
	free((void *)memory);
	return r;
}

/* The child has all descriptors that the worker has. */
static int leave_child(struct procpool_call *call)
{
	const char *path;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_text(call, 0, &path))
		return -1;
	pid_t child = fork();
	if (child == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		char byte;
		(void)!read(fd, &byte, 1);
		_exit(0);
	}
	return child < 0 ? fail_errno(call, path) : procpool_return_int(call, child);
}

static int mark(struct procpool_call *call)
{
	const char *path, *text;
	if (procpool_arg_check(call, 2, 2) || procpool_arg_text(call, 0, &path) ||
	    procpool_arg_text(call, 1, &text))
		return -1;
	return append(call, path, text);
}

static int mark_and_die(struct procpool_call *call)
{
	const char *path, *text;
	bool die;
	if (procpool_arg_check(call, 3, 3) || procpool_arg_text(call, 0, &path) ||
	    procpool_arg_text(call, 1, &text) || procpool_arg_bool(call, 2, &die) ||
	    append(call, path, text))
		return -1;
	if (die)
		raise(SIGKILL);
	return 0;
}

static int persist(struct procpool_call *call)
{
	const char *path, *text;
	int64_t attempts;
	bool die;
	char line[200];
	unsigned attempt = procpool_call_attempt(call);
	if (procpool_arg_check(call, 4, 4) || procpool_arg_text(call, 0, &path) ||
	    procpool_arg_text(call, 1, &text) || procpool_arg_int(call, 2, &attempts) ||
	    procpool_arg_bool(call, 3, &die))
		return -1;
	snprintf(line, sizeof(line), "%.100s-%u", text, attempt);
	if (append(call, path, line))
		return -1;
	if (attempt >= attempts)
		return procpool_return_int(call, attempt);
	if (die)
		raise(SIGKILL);
	return procpool_fail(call, "ProbeError", "attempt %u fails", attempt);
}

static int mark_and_sleep(struct procpool_call *call)
{
	const char *path, *text;
	double seconds;
	bool obeys;
	if (procpool_arg_check(call, 4, 4) || procpool_arg_text(call, 0, &path) ||
	    procpool_arg_text(call, 1, &text) || procpool_arg_double(call, 2, &seconds) ||
	    procpool_arg_bool(call, 3, &obeys) || append(call, path, text))
		return -1;
	if (!obeys)
		usleep((useconds_t)(seconds * 1e6));
	else if (procpool_call_sleep(call, seconds))
		return procpool_fail(call, "Stopped", "asked to stop");
	return 0;
}

static int hold_or_mark(struct procpool_call *call)
{
	const char *path;
	if (procpool_arg_count(call) != 1)
		return mark(call);
	if (procpool_arg_text(call, 0, &path))
		return -1;
	return pass_gate(call, path);
}

static int die_on_negative(struct procpool_call *call)
{
	int64_t i;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_int(call, 0, &i))
		return -1;
	if (i < 0)
		raise(SIGKILL);
	return procpool_return_int(call, i);
}

static int fail(struct procpool_call *call)
{
	const char *type, *message;
	if (procpool_arg_check(call, 3, 3) || procpool_arg_text(call, 0, &type) ||
	    procpool_arg_text(call, 1, &message))
		return -1;
	procpool_write_value(procpool_fail_data(call), procpool_arg(call, 2));
	return procpool_fail(call, type, "%s", message);
}

static int exit_with(struct procpool_call *call)
{
	int64_t status;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_int(call, 0, &status))
		return -1;
	_exit((int)status);
}

static int fill(struct procpool_call *call)
{
	int64_t size;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_int(call, 0, &size))
		return -1;
	void *data = calloc(1, (size_t)size);
	if (data == NULL)
		return procpool_fail_memory(call);
	int result = procpool_return_bytes(call, data, (size_t)size);
	free(data);
	return result;
}

static int nest(struct procpool_call *call)
{
	int64_t depth;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_int(call, 0, &depth))
		return -1;
	struct procpool_writer *w = procpool_result(call);
	for (int64_t i = 1; i < depth; i++)
		procpool_write_array(w, 1);
	procpool_write_array(w, 0);
	return 0;
}

static int pid(struct procpool_call *call)
{
	return procpool_return_int(call, getpid());
}

static int who(struct procpool_call *call)
{
	struct procpool_writer *w = procpool_result(call);
	procpool_write_array(w, 4);
	procpool_write_string(w, procpool_call_pool(call));
	procpool_write_uint(w, procpool_call_worker(call));
	procpool_write_uint(w, procpool_call_workers(call));
	procpool_write_value(w, (struct procpool_value){initargs, initargs_size});
	return 0;
}

/* Tells each argument but the first as its progress, then waits at the gate. */
static int report(struct procpool_call *call)
{
	const char *path;
	if (procpool_arg_text(call, 0, &path))
		return -1;
	for (size_t i = 1; i < procpool_arg_count(call); i++)
		procpool_progress(call, procpool_arg(call, i));
	return pass_gate(call, path);
}

static int hold_and_report(struct procpool_call *call)
{
	const char *path;
	if (procpool_arg_text(call, 0, &path) || pass_gate(call, path))
		return -1;
	return procpool_progress(call, procpool_arg(call, 1));
}

/* Leaves a mark where it is told one, waits for being told to stop, and then does not fail. */
static int until_stopped(struct procpool_call *call)
{
	if (procpool_arg_count(call) > 0 && mark(call))
		return -1;
	while (!procpool_call_sleep(call, 3600))
		;
	return procpool_return_string(call, "late");
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

static int environment(struct procpool_call *call)
{
	const char *name;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_text(call, 0, &name))
		return -1;
	const char *value = getenv(name);
	return value ? procpool_return_string(call, value) : procpool_return_nil(call);
}

static int print(struct procpool_call *call)
{
	const char *text;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_text(call, 0, &text))
		return -1;
	dprintf(STDOUT_FILENO, "%s\n", text);
	dprintf(STDERR_FILENO, "%s\n", text);
	return 0;
}

static FILE *stream_of(const char *name)
{
	return strcmp(name, "stderr") == 0 ? stderr : stdout;
}

/* The bytes as they are, by the C library, and perhaps several times. */
static int say(struct procpool_call *call)
{
	const char *stream;
	const void *data;
	size_t size;
	int64_t times = 1;
	if (procpool_arg_check(call, 2, 3) || procpool_arg_text(call, 0, &stream) ||
	    procpool_arg_bytes(call, 1, &data, &size) ||
	    (procpool_arg_count(call) > 2 && procpool_arg_int(call, 2, &times)))
		return -1;
	for (int64_t i = 0; i < times; i++)
		fwrite(data, 1, size, stream_of(stream));
	return procpool_return_int(call, times);
}

static int say_and_abort(struct procpool_call *call)
{
	const char *text;
	if (procpool_arg_check(call, 1, 1) || procpool_arg_text(call, 0, &text))
		return -1;
	fprintf(stderr, "%s\n", text);
	abort();
}

/* A grandchild with the worker's output, which prints once the FIFO was opened and closed. */
static int leave_process(struct procpool_call *call)
{
	const char *path, *text;
	if (procpool_arg_check(call, 2, 2) || procpool_arg_text(call, 0, &path) ||
	    procpool_arg_text(call, 1, &text))
		return -1;
	pid_t child = fork();
	if (child > 0) {
		waitpid(child, NULL, 0);
		return 0;
	}
	if (child == 0 && fork() == 0 && pass_gate(call, path) == 0)
		dprintf(STDOUT_FILENO, "%s\n", text);
	_exit(0);
}

/* initargs: "fail", "crash", "abort", or a file to mark; all are kept for who(). */
static int initialize(struct procpool_call *call)
{
	struct procpool_writer w;
	procpool_writer_init(&w);
	procpool_write_array(&w, procpool_arg_count(call));
	for (size_t i = 0; i < procpool_arg_count(call); i++)
		procpool_write_value(&w, procpool_arg(call, i));
	initargs = w.data;
	initargs_size = w.size;

	const char *what;
	if (procpool_arg_count(call) == 0)
		return 0;
	if (procpool_arg_text(call, 0, &what))
		return -1;
	if (strcmp(what, "fail") == 0)
		return procpool_fail(call, "ProbeError", "told to fail");
	if (strcmp(what, "crash") == 0)
		raise(SIGKILL);
	if (strcmp(what, "abort") == 0) {
		fprintf(stderr, "no such table\n");
		abort();
	}
	return what[0] == '/' ? append(call, what, "initialized") : 0;
}

/* Before the daemon is told of any function. */
__attribute__((constructor)) static void load(void)
{
	if (getenv("PROBE_IGNORES_CHILDREN"))
		signal(SIGCHLD, SIG_IGN);
	if (getenv("PROBE_LOADED"))
		printf("%s", getenv("PROBE_LOADED"));
}

static void finalize(void)
{
	const char *path = getenv("PROBE_FINALIZED");
	if (path == NULL)
		return;
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0) {
		dprintf(fd, "finalized\n");
		close(fd);
	}
	free(initargs);
}

static const struct procpool_function functions[] = {
	{"hold",
	 "hold(path): blocks until the FIFO was opened and closed again; else returns its argument",
	 hold},
	{"hog", "hog(bytes, path): fills so much memory, then is as hold", hog},
	{"leave_child", "leave_child(path): leaves a child behind, which ends as hold does",
	 leave_child},
	{"mark", "mark(path, text): appends a line to a file", mark},
	{"mark_and_die", "mark_and_die(path, text, die): and kills its process", mark_and_die},
	{"mark_and_sleep",
	 "mark_and_sleep(path, text, seconds, obeys): and sleeps, until asked to stop if it obeys",
	 mark_and_sleep},
	{"hold_or_mark", "hold_or_mark(path, text?): hold of one argument, mark of two",
	 hold_or_mark},
	{"persist",
	 "persist(path, text, attempts, die): leaves the mark text-attempt; fails, or kills its "
	 "process, before the last attempt, and returns its number",
	 persist},
	{"die_on_negative", "die_on_negative(i): kills its process, or returns i", die_on_negative},
	{"fail", "fail(type, message, data): fails so", fail},
	{"exit", "exit(status): ends its process", exit_with},
	{"fill", "fill(n): n bytes", fill},
	{"nest", "nest(n): n arrays, one in the other", nest},
	{"pid", "pid(...): the worker's process id", pid},
	{"report", "report(path, ...): tells the rest as its progress, then holds", report},
	{"hold_and_report", "hold_and_report(path, value): holds, then tells its progress",
	 hold_and_report},
	{"task", "task(): the job and the attempt that it is called in", task},
	{"until_stopped",
	 "until_stopped(path?, text?): marks, sleeps until it is asked to stop, then \"late\"",
	 until_stopped},
	{"who", "who(): pool, worker's number, number of workers, initargs", who},
	{"environment", "environment(name): a variable's value", environment},
	{"print", "print(text): on standard output and error", print},
	{"say", "say(stream, bytes, times?): prints them as they are", say},
	{"say_and_abort", "say_and_abort(text): on standard error", say_and_abort},
	{"leave_process", "leave_process(path, text): one that prints when a FIFO was opened",
	 leave_process},
};

PROCPOOL_MODULE("probe", "Functions for the tests.", functions, initialize, finalize);
