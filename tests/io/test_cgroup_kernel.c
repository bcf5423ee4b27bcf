/* SPDX-License-Identifier: MIT */
/* The kernel kills what is over its limit, and the leaf tells so. Skipped (77) where no cgroup with
 * the memory controller is delegated to whoever runs the tests. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/cgroup.h"

#define SKIPPED     77
#define LIMIT_BYTES (32 << 20)

static void hog(int ready)
{
	char c;
	(void)!read(ready, &c, 1);
	for (size_t size = 0; size < 8 * (size_t)LIMIT_BYTES; size += 4096) {
		volatile char *page = malloc(4096);
		if (page)
			*page = 1;
	}
	_exit(0);
}

static int fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	return EXIT_FAILURE;
}

int main(void)
{
	struct cgroup cgroup;
	struct cgroup_leaf *leaf = NULL;
	int ready[2], status, r = cgroup_init(&cgroup, "", 0);
	if (r < 0) {
		printf("no delegated cgroup: %s\n", strerror(-r));
		return SKIPPED;
	}
	if (pipe(ready) < 0)
		return fail("no pipe");
	pid_t pid = fork();
	if (pid == 0)
		hog(ready[0]);
	if (cgroup_confine(&cgroup, pid, LIMIT_BYTES, &leaf) < 0)
		return fail("it cannot be confined");
	if (write(ready[1], "", 1) != 1 || waitpid(pid, &status, 0) != pid)
		return fail("it does not end");
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		return fail("it was not killed");
	if (!cgroup_usage(leaf).killed)
		return fail("the leaf does not tell that it was killed");
	cgroup_release(&cgroup, leaf);
	if (!STAILQ_EMPTY(&cgroup.emptied))
		return fail("its leaf is still there");
	cgroup_fini(&cgroup);
	return EXIT_SUCCESS;
}
