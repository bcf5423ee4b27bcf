/* SPDX-License-Identifier: MIT */
#include "io/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/text.h"

void journal_add(struct journal_entry *entry, const char *name, const char *value)
{
	size_t name_size = strlen(name), size = strlen(value);
	size_t room = sizeof(entry->data) - entry->size;
	if (room < name_size + 2)
		return;
	char *at = entry->data + entry->size;
	memcpy(at, name, name_size);
	at[name_size] = '=';
	at += name_size + 1;
	size_t written;
	if (!text_line(at, room - name_size - 2, value, size, &written))
		return;
	at[written] = '\n';
	entry->size += name_size + 1 + written + 1;
}

void journal_add_number(struct journal_entry *entry, const char *name, unsigned long long value)
{
	char text[24];
	snprintf(text, sizeof(text), "%llu", value);
	journal_add(entry, name, text);
}

int journal_open(void)
{
	const struct timeval wait = {.tv_usec = JOURNAL_WAIT_MS * 1000};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* An entry fits by default. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

int journal_send(int fd, const char *path, const struct journal_entry *entry, bool wait)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);
	ssize_t n;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	/* By name each time, so that a journal that was started anew is found. */
	do
		n = sendto(fd, entry->data, entry->size, flags, (const struct sockaddr *)&address,
			   sizeof(address));
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return JOURNAL_SENT;
	return errno == EAGAIN || errno == ENOBUFS ? JOURNAL_FULL : -errno;
}
