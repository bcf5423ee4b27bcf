/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/page_memory.h"
#include "proto/page.h"

static void test_a_page_cannot_change_its_size(void **state)
{
	(void)state;
	struct page_memory memory;
	assert_int_equal(page_memory_init(&memory), 0);
	assert_int_equal(ftruncate(memory.fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(memory.fd, sizeof(struct page) + 1), -1);
	assert_int_equal(fcntl(memory.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_true(fcntl(memory.fd, F_GETFD) & FD_CLOEXEC);
	page_memory_fini(&memory);
	assert_null(memory.page);
	page_memory_fini(&memory);
}

static void test_a_page_is_shared_and_starts_empty(void **state)
{
	(void)state;
	struct page_memory memory;
	assert_int_equal(page_memory_init(&memory), 0);
	int fd = page_memory_take_fd(&memory);
	assert_int_equal(memory.fd, -1);
	struct page *worker =
		mmap(NULL, sizeof(*worker), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(worker, MAP_FAILED);
	close(fd);
	assert_int_equal(memory.page->tail, 0);
	page_offer(memory.page, 300);
	assert_true(page_claim(worker, 300, 0));
	assert_int_equal(page_take_back(memory.page, 300, 5), 1);
	assert_false(page_claim(worker, 300, 1));
	page_memory_fini(&memory);
	munmap(worker, sizeof(*worker));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_page_cannot_change_its_size),
		cmocka_unit_test(test_a_page_is_shared_and_starts_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
