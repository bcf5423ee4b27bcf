/* SPDX-License-Identifier: MIT */
#include "runtime/preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/worker.h"
#include "runtime/process.h"

int preload(struct registry *registry, const struct settings *settings,
	    struct procpool_value *ret_module)
{
	struct procpool_iter it = procpool_iter(settings->modules);
	struct procpool_value module;
	unsigned threads = process_threads();
	int status = PRELOAD_DONE;
	while (procpool_iter_next(&it, &module)) {
		if (registry_load_value(registry, module) < 0)
			return -1;
		if (status == PRELOAD_DONE && !settings->preload_always &&
		    process_threads() > threads) {
			*ret_module = module;
			status = PRELOAD_THREADS;
		}
	}
	return status;
}

static int write_all(int fd, struct procpool_value bytes)
{
	for (size_t done = 0; done < bytes.size;) {
		ssize_t n = write(fd, bytes.data + done, bytes.size - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int preload_restart(const struct settings *settings, struct procpool_value ready)
{
	char number[16];
	int fd = memfd_create("procpool-runtime", 0);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, settings->message);
	if (r == 0)
		r = write_all(fd, ready);
	if (r == 0 && fcntl(WORKER_FD, F_SETFD, 0) < 0)
		r = -errno;
	if (r == 0) {
		snprintf(number, sizeof(number), "%d", fd);
		execl("/proc/self/exe", "procpool-runtime", "--resume", number, (char *)NULL);
		r = -errno;
	}
	close(fd);
	return r;
}

/* Takes the value at *p over into a writer. */
static int take(const uint8_t **p, const uint8_t *end, struct procpool_writer *ret)
{
	struct procpool_value value;
	if (!procpool_value_parse(*p, (size_t)(end - *p), &value))
		return -EPROTO;
	procpool_writer_init(ret);
	procpool_write_value(ret, value);
	*p += value.size;
	return -ret->error;
}

int preload_resume(int fd, struct procpool_writer *ret_start, struct procpool_writer *ret_ready)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size == 0)
		return -EPROTO;
	size_t size = (size_t)status.st_size;
	uint8_t *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	const uint8_t *p = data;
	int r = take(&p, data + size, ret_start);
	if (r == 0)
		r = take(&p, data + size, ret_ready);
	munmap(data, size);
	close(fd);
	return r;
}
