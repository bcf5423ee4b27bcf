/* SPDX-License-Identifier: MIT */
/*
 * How many processors the daemon may use: those of its affinity mask, or fewer where a cgroup's
 * quota (v2 cpu.max, v1 cpu.cfs_quota_us, its own or one above it) allows less; a part of one
 * counts whole.
 */
#pragma once

/* At least 1. What cannot be read does not limit. */
unsigned cpu_count(void);

/* What the quotas allow, from the files proc/self/cgroup and sys/fs/cgroup below root ("" for the
 * machine's own): at least 1, or 0 where there is no quota. */
unsigned cpu_quota(const char *root);
