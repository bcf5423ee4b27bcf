/* SPDX-License-Identifier: MIT */
#include "io/page_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/page.h"

/* Since Linux 6.3, which complains where a memfd says nothing of execution. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int create_memfd(void)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("procpool-page", flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("procpool-page", flags);
	return fd;
}

int page_memory_init(struct page_memory *memory)
{
	int fd = create_memfd();
	if (fd < 0)
		return -errno;
	void *page = MAP_FAILED;
	if (ftruncate(fd, sizeof(struct page)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		int error = errno;
		close(fd);
		return -error;
	}
	memory->fd = fd;
	memory->page = page;
	return 0;
}

int page_memory_take_fd(struct page_memory *memory)
{
	int fd = memory->fd;
	memory->fd = -1;
	return fd;
}

void page_memory_wake(const struct page_memory *memory)
{
	if (memory->page)
		syscall(SYS_futex, &memory->page->stops, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void page_memory_fini(struct page_memory *memory)
{
	if (memory->page)
		munmap(memory->page, sizeof(struct page));
	if (memory->fd >= 0)
		close(memory->fd);
	memory->page = NULL;
	memory->fd = -1;
}
