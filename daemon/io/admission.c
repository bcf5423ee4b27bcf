/* SPDX-License-Identifier: MIT */
#include "io/admission.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/outcome.h"
#include "io/log.h"
#include "io/output.h"
#include "proto/reply.h"

#define LOG_PERIOD_US UINT64_C(1000000)

/* ---- identity ---- */

/* The supplementary groups, with room for one more. 0, -ERANGE: there are more than `room`, or
 * another negative errno. */
static int read_groups(int fd, size_t room, gid_t **ret, size_t *ret_count)
{
	socklen_t size = (socklen_t)(room * sizeof(gid_t));
	gid_t *groups = malloc((room + 1) * sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
		int error = errno;
		free(groups);
		return -error;
	}
	*ret = groups;
	*ret_count = size / sizeof(gid_t);
	return 0;
}

static int count_groups(int fd, size_t *ret)
{
	socklen_t size = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
		return -errno;
	if (size > IDENTITY_GROUPS_MAX * sizeof(gid_t))
		return -E2BIG;
	*ret = size / sizeof(gid_t);
	return 0;
}

int admission_identify(int fd, struct identity *ret)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	gid_t *groups = NULL;
	size_t count = 0, room = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (peer.uid == (uid_t)-1) /* nobody has connected */
		return -ENOTCONN;
	int r;
	do {
		r = count_groups(fd, &room);
		if (r == 0)
			r = read_groups(fd, room, &groups, &count);
	} while (r == -ERANGE);
	if (r < 0)
		return r;
	groups[count++] = peer.gid;
	identity_init(ret, peer.uid, groups, count);
	return 0;
}

/* ---- refusing ---- */

static void refuse(int fd, struct outcome error)
{
	struct output output;
	output_init(&output);
	struct procpool_writer *w = output_writer(&output);
	push_begin(w, "error", 1);
	procpool_write_value(w, span_value(error.value));
	output_flush(&output, fd, OUTPUT_BUDGET);
	output_fini(&output);
	outcome_fini(&error);
	close(fd);
}

void admission_refuse_busy(int fd, const char *limit)
{
	struct error_builder b;
	error_builder_begin(&b, ERR_BUSY, "no more connections: try again when some have ended");
	if (limit)
		error_builder_add_string(&b, "limit", limit);
	refuse(fd, error_builder_end(&b));
}

void admission_refuse_denied(int fd)
{
	refuse(fd, error_outcome(ERR_DENIED,
				 "you have no right here: ask the administrator for the right to "
				 "call (access { call } in procpoold.conf, or a group that has it, "
				 "such as procpool: who has joined one has to log in again)"));
}

void denials_note(struct denials *denials, uid_t uid, uint64_t now_us)
{
	if (denials->logged_us != 0 && now_us - denials->logged_us < LOG_PERIOD_US) {
		denials->untold++;
		return;
	}
	const struct log_fields fields = {.kind = LOG_KIND_REFUSED,
					  .has_uid = true,
					  .uid = uid,
					  .outcome = error_name(ERR_DENIED)};
	if (denials->untold > 0)
		log_event(LOG_LEVEL_INFO, &fields,
			  "refusing a connection of user %u, who has no right here, as %llu since "
			  "the last that was told of",
			  (unsigned)uid, (unsigned long long)denials->untold);
	else
		log_event(LOG_LEVEL_INFO, &fields,
			  "refusing a connection of user %u, who has no right here", (unsigned)uid);
	*denials = (struct denials){.logged_us = now_us};
}
