/* SPDX-License-Identifier: MIT */
#include "io/launch_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without padding, and with nothing that not every value is fine of. */
struct head {
	uint32_t arguments, variables;
	uint32_t has_cwd, has_umask, umask;
	int32_t nice;
	uint64_t descriptors;
	uint64_t limit_count;
	struct {
		int64_t resource;
		uint64_t soft, hard;
	} limits[PROCESS_LIMITS_MAX];
	uint64_t cpus[PROCESS_CPUS_MAX / 64];
};

/* ---- writing ---- */

static size_t bytes_of(char *const *strings, uint32_t *ret_count)
{
	size_t bytes = 0;
	*ret_count = 0;
	for (; strings && *strings; strings++, ++*ret_count)
		bytes += strlen(*strings) + 1;
	return bytes;
}

static char *append(char *end, const char *string)
{
	return string ? stpcpy(end, string) + 1 : end;
}

static char *append_all(char *end, char *const *strings)
{
	for (; strings && *strings; strings++)
		end = append(end, *strings);
	return end;
}

static void fill_head(struct head *head, const struct launch_spec *spec)
{
	const struct process_settings *settings = &spec->settings;
	head->has_cwd = settings->cwd != NULL;
	head->has_umask = settings->has_umask;
	head->umask = settings->umask;
	head->nice = settings->nice;
	head->descriptors = spec->descriptors;
	head->limit_count = settings->limit_count;
	for (unsigned i = 0; i < settings->limit_count; i++) {
		head->limits[i].resource = settings->limits[i].resource;
		head->limits[i].soft = settings->limits[i].soft;
		head->limits[i].hard = settings->limits[i].hard;
	}
	memcpy(head->cpus, settings->cpus, sizeof(head->cpus));
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* What others of the process's user do with it, it reads what was written. */
static int make_file(const char *bytes, size_t size, int *ret_fd)
{
	int fd = memfd_create("procpool-spec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, bytes, size);
	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

int launch_spec_write(const struct launch_spec *spec, int *ret_fd)
{
	struct head head = {0};
	const char *cwd = spec->settings.cwd;
	fill_head(&head, spec);
	size_t size = sizeof(head) + bytes_of(spec->argv, &head.arguments);
	size += bytes_of(spec->environment, &head.variables) + (cwd ? strlen(cwd) + 1 : 0);
	if (size > LAUNCH_SPEC_BYTES_MAX)
		return -E2BIG;
	char *bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &head, sizeof(head));
	char *end = append_all(bytes + sizeof(head), spec->argv);
	append(append_all(end, spec->environment), cwd);
	int r = make_file(bytes, size, ret_fd);
	free(bytes);
	return r;
}

/* ---- reading ---- */

/* The file, and an end for its last string. */
static int read_file(int fd, char **ret, size_t *ret_size)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size < (off_t)sizeof(struct head) || status.st_size > LAUNCH_SPEC_BYTES_MAX)
		return -EPROTO;
	size_t size = (size_t)status.st_size;
	char *bytes = calloc(1, size + 1);
	if (!bytes)
		return -ENOMEM;
	ssize_t n = pread(fd, bytes, size, 0);
	if (n != (ssize_t)size) {
		free(bytes);
		return n < 0 ? -errno : -EPROTO;
	}
	*ret = bytes;
	*ret_size = size;
	return 0;
}

/* The next string; NULL: there is none. */
static char *next_string(char **place, const char *end)
{
	char *string = *place;
	if (string >= end)
		return NULL;
	*place += strlen(string) + 1;
	return string;
}

/* As many strings as were promised, each of which is at least a byte. NULL: there are fewer. */
static char **next_strings(char **place, const char *end, uint32_t count)
{
	if (count > (size_t)(end - *place))
		return NULL;
	char **strings = calloc((size_t)count + 1, sizeof(*strings));
	for (uint32_t i = 0; strings && i < count; i++) {
		strings[i] = next_string(place, end);
		if (!strings[i]) {
			free(strings);
			return NULL;
		}
	}
	return strings;
}

static int read_settings(const struct head *head, struct launch_spec *spec)
{
	struct process_settings *settings = &spec->settings;
	if (head->limit_count > PROCESS_LIMITS_MAX)
		return -EPROTO;
	settings->has_umask = head->has_umask != 0;
	settings->umask = head->umask;
	settings->nice = head->nice;
	spec->descriptors = head->descriptors;
	settings->limit_count = (unsigned)head->limit_count;
	for (unsigned i = 0; i < settings->limit_count; i++)
		settings->limits[i] = (struct process_limit){
			(int)head->limits[i].resource,
			head->limits[i].soft,
			head->limits[i].hard,
		};
	memcpy(settings->cpus, head->cpus, sizeof(head->cpus));
	return 0;
}

int launch_spec_read(int fd, struct launch_spec *ret)
{
	struct launch_spec spec = {0};
	struct head head;
	size_t size = 0;
	int r = read_file(fd, &spec.bytes, &size);
	if (r < 0)
		return r;
	memcpy(&head, spec.bytes, sizeof(head));
	char *place = spec.bytes + sizeof(head), *end = spec.bytes + size;
	r = read_settings(&head, &spec);
	spec.argv = next_strings(&place, end, head.arguments);
	spec.environment = next_strings(&place, end, head.variables);
	if (head.has_cwd)
		spec.settings.cwd = next_string(&place, end);
	if (r < 0 || !spec.argv || !spec.argv[0] || !spec.environment || place != end ||
	    (head.has_cwd && !spec.settings.cwd)) {
		launch_spec_fini(&spec);
		return -EPROTO;
	}
	*ret = spec;
	return 0;
}

void launch_spec_fini(struct launch_spec *spec)
{
	free(spec->argv);
	free(spec->environment);
	free(spec->bytes);
	*spec = (struct launch_spec){0};
}
