/* SPDX-License-Identifier: MIT */
#include "io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the kernel adds, in thousandths of all memory, to what it thinks that a process uses when it
 * looks for one to kill. */
#define OOM_SCORE_ADJ 500

#define ERRNO_MAX 4095

/* ---- in the child ---- */

/* Whoever wants it higher still has his way. Where it cannot be written, nothing is lost but the
 * preference. */
static void prefer_before_daemon(void)
{
	char text[16] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0 && strtol(text, NULL, 10) < OOM_SCORE_ADJ) {
		int size = snprintf(text, sizeof(text), "%d", OOM_SCORE_ADJ);
		(void)!pwrite(fd, text, (size_t)size, 0);
	}
	close(fd);
}

static int change_priority(int change)
{
	errno = 0;
	return change != 0 && nice(change) == -1 && errno != 0 ? -errno : 0;
}

static int bind_to_cpus(const uint64_t *cpus)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (unsigned n = 0; n < PROCESS_CPUS_MAX; n++)
		if (cpus[n / 64] >> n % 64 & 1)
			CPU_SET(n, &set);
	return CPU_COUNT(&set) > 0 && sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

static int change_directory(const char *path)
{
	return path && chdir(path) < 0 ? -errno : 0;
}

static rlim_t to_rlim(uint64_t value)
{
	return value == UINT64_MAX ? RLIM_INFINITY : (rlim_t)value;
}

static int set_limit(const struct process_limit *limit)
{
	struct rlimit both = {to_rlim(limit->soft), to_rlim(limit->hard)};
	return setrlimit((__rlimit_resource_t)limit->resource, &both) < 0 ? -errno : 0;
}

static int apply_settings(const struct process_settings *settings, struct child_failure *failure)
{
	failure->step = CHILD_NICE;
	int r = change_priority(settings->nice);
	if (r == 0) {
		failure->step = CHILD_AFFINITY;
		r = bind_to_cpus(settings->cpus);
	}
	if (r == 0) {
		failure->step = CHILD_CWD;
		r = change_directory(settings->cwd);
	}
	if (settings->has_umask)
		umask((mode_t)settings->umask);
	/* Last: they may forbid what comes before. */
	for (unsigned i = 0; r == 0 && i < settings->limit_count; i++) {
		failure->step = CHILD_LIMIT;
		failure->resource = settings->limits[i].resource;
		r = set_limit(&settings->limits[i]);
	}
	return r;
}

static int limit_descriptors(rlim_t soft)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

struct child_failure child_become(const struct process_settings *settings, rlim_t descriptors,
				  char *const *argv, char *const *environment)
{
	struct child_failure failure = {.step = CHILD_PREPARE};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		failure.error = -errno;
	prefer_before_daemon();
	if (failure.error == 0 && descriptors > 0)
		failure.error = limit_descriptors(descriptors);
	if (failure.error == 0 && settings)
		failure.error = apply_settings(settings, &failure);
	if (failure.error == 0) {
		execvpe(argv[0], argv, environment);
		failure = (struct child_failure){.step = CHILD_EXEC, .error = -errno};
	}
	return failure;
}

/* ---- in the daemon ---- */

static const char *resource_name(int resource)
{
	static const char *const names[] = {
		[RLIMIT_CPU] = "processor time", [RLIMIT_FSIZE] = "file size",
		[RLIMIT_DATA] = "data size",     [RLIMIT_STACK] = "stack size",
		[RLIMIT_CORE] = "core size",     [RLIMIT_NPROC] = "processes",
		[RLIMIT_NOFILE] = "open files",  [RLIMIT_MEMLOCK] = "locked memory",
		[RLIMIT_AS] = "address space",
	};
	size_t count = sizeof(names) / sizeof(*names);
	const char *name = resource >= 0 && (size_t)resource < count ? names[resource] : NULL;
	return name ? name : "a resource";
}

bool child_is_failure(const struct child_failure *failure)
{
	return failure->error < 0 && failure->error >= -ERRNO_MAX &&
	       (unsigned)failure->step <= CHILD_EXEC;
}

bool child_was_refused(const struct child_failure *failure)
{
	return failure->step >= CHILD_NICE && failure->step <= CHILD_LIMIT;
}

char *child_explain(const struct child_failure *failure, const char *program, const char *cwd)
{
	const char *why = strerror(-failure->error);
	char *text = NULL;
	int r = -1;
	switch (failure->step) {
	case CHILD_PREPARE:
	case CHILD_EXEC:
		r = asprintf(&text, "cannot start %s: %s", program, why);
		break;
	case CHILD_USER:
		r = asprintf(&text, "cannot change to the user of %s: %s", program, why);
		break;
	case CHILD_SPEC:
		r = asprintf(&text, "cannot learn how to start %s: %s", program, why);
		break;
	case CHILD_NICE:
		r = asprintf(&text, "cannot change the priority of %s: %s", program, why);
		break;
	case CHILD_AFFINITY:
		r = asprintf(&text, "cannot bind %s to its processors: %s", program, why);
		break;
	case CHILD_CWD:
		r = asprintf(&text, "cannot change to directory %s: %s", cwd ? cwd : "", why);
		break;
	case CHILD_LIMIT:
		r = asprintf(&text, "cannot set the limit of %s: %s",
			     resource_name(failure->resource), why);
		break;
	}
	return r < 0 ? NULL : text;
}
