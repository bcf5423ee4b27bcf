/* SPDX-License-Identifier: MIT */
#include "runtime/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/worker.h"

static void reset_signals(void)
{
	sigset_t none;
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* some cannot be changed, and need not */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int process_map_page(int fd, struct page **ret)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size < (off_t)sizeof(struct page))
		return -EPROTO;
	void *page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	*ret = page;
	return 0;
}

int process_become_worker(pid_t parent, const struct process_fds *fds, struct page **ret_page)
{
	/* The parent may have died before this was armed. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	if (getppid() != parent)
		return -ESRCH;
	setsid();
	prctl(PR_SET_NAME, "procpool-worker");
	reset_signals();

	int r = fds->page >= 0 ? process_map_page(fds->page, ret_page) : 0;
	if (r < 0)
		return r;
	if (dup3(fds->channel, WORKER_FD, O_CLOEXEC) < 0 ||
	    (fds->output >= 0 && dup2(fds->output, STDOUT_FILENO) < 0) ||
	    (fds->error >= 0 && dup2(fds->error, STDERR_FILENO) < 0))
		return -errno;
	return close_range(WORKER_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

unsigned process_threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	unsigned count = 0;
	if (!directory)
		return 1;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count > 0 ? count : 1;
}
