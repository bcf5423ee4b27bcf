/* SPDX-License-Identifier: MIT */
/*
 * A hard limit of memory for each worker, by cgroup v2: where the daemon's own cgroup is delegated
 * to it with the memory controller (systemd: Delegate=memory), it moves to a leaf of it, `daemon`,
 * with all that it starts, and each worker that has a limit to a leaf of its own.
 *
 * What a worker had allocated before it was moved stays charged to where it was: what it shares
 * with its spawner does not count. In a leaf all processes are killed together: what a worker has
 * left behind goes with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct cgroup_leaf {
	char *path; /* owned */
	STAILQ_ENTRY(cgroup_leaf) next;
};

struct cgroup {
	char *path;    /* owned; the delegated one; NULL: there is none, or not with memory */
	uint64_t last; /* number of the last leaf */
	STAILQ_HEAD(, cgroup_leaf) emptied; /* leaves that still have processes, which are dying */
};

/* What a worker in a leaf came to. */
struct cgroup_usage {
	bool killed;         /* for want of memory */
	uint64_t peak_bytes; /* 0: not known */
};

/*
 * companion: a process that moves with the daemon, because it starts others for it; 0: none. Looks
 * for the daemon's cgroup in the files proc/self/cgroup and sys/fs/cgroup below root ("" for
 * the machine's own) and makes it ready. 0; or a negative errno, -ENOENT where there is none: then
 * nothing has changed, and cgroup->path is NULL.
 */
int cgroup_init(struct cgroup *cgroup, const char *root, pid_t companion);
/* Removes what it has made, as far as it is empty. */
void cgroup_fini(struct cgroup *cgroup);

/* Moves a process into a new leaf with this limit. 0 or a negative errno. */
int cgroup_confine(struct cgroup *cgroup, pid_t pid, uint64_t limit_bytes,
		   struct cgroup_leaf **ret);
struct cgroup_usage cgroup_usage(const struct cgroup_leaf *leaf);
/* Kills what is left in it, and removes it as soon as that is possible. NULL is none. */
void cgroup_release(struct cgroup *cgroup, struct cgroup_leaf *leaf);
