/* SPDX-License-Identifier: MIT */
#include "io/worker_process.h"

#include <errno.h>
#include <linux/sockios.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/core.h"
#include "core/health.h"
#include "io/about.h"
#include "io/channel.h"
#include "io/launch.h"
#include "io/log.h"
#include "io/proc.h"
#include "io/server.h"

/* ---- health ---- */

/* Bytes that the other end has not read. */
static int unread_bytes(const struct channel *channel)
{
	int bytes = 0;
	if (channel->fd < 0 || ioctl(channel->fd, SIOCOUTQ, &bytes) < 0)
		return 0;
	return bytes;
}

void worker_process_check(struct channel *channel)
{
	struct worker *worker = channel->worker;
	struct proc_status status = {0};
	if (worker->pid != 0)
		proc_read(worker->pid, &status);
	struct health_report report = {status.state, unread_bytes(channel) > 0, status.rss_bytes};
	enum health health = health_judge(worker, report, channel->server->now_us);
	if (health == HEALTH_GOOD || !log_enabled(LOG_LEVEL_DEBUG))
		return;
	/* Its end follows, and tells it. */
	struct log_fields fields = about_worker(worker);
	log_event(LOG_LEVEL_DEBUG, &fields, "pool %s: worker %u (pid %ld) is killed: %s",
		  fields.pool, fields.worker, (long)fields.pid, health_reason(health));
}

/* ---- memory ---- */

void worker_process_limit_memory(struct server *server)
{
	const struct config *config = server->config;
	bool wanted = false;
	for (size_t i = 0; i < config->pool_count; i++)
		wanted = wanted || config->pools[i]->memory_bytes > 0;
	if (!wanted || server->limits_memory)
		return;
	server->limits_memory = true;
	const struct launch *launch = server->launch_watch.launch;
	int r = cgroup_init(&server->cgroup, "", launch ? launch_pid(launch) : 0);
	if (r == 0)
		log_info("limits of memory are enforced by cgroups in %s", server->cgroup.path);
	else if (r == -EBUSY && server->ready) /* by workers, which are nowhere else yet */
		log_warning("limits of memory are kept by looking now and then until the daemon is "
			    "restarted: the first of them came with a reload, when processes were "
			    "in the daemon's cgroup already");
	else
		log_info("limits of memory are kept by looking now and then: no cgroup v2 with the "
			 "memory controller is delegated to the daemon (%s)",
			 strerror(-r));
}

/* A pid is what a spawner says, and where that lives in a namespace of its own, it is another's
 * here; a child of the spawner it is not by chance. */
static bool is_known(const struct channel *channel)
{
	const struct channel *spawner = channel->runtime->channel;
	if (channel_is_own_process(channel)) /* until it was reaped */
		return channel->process.pid != 0;
	return spawner && proc_parent(channel->worker->pid) == spawner->process.pid;
}

void worker_process_confine(struct channel *channel)
{
	struct server *server = channel->server;
	struct worker *worker = channel->worker;
	uint64_t limit = channel->runtime->spec->memory_bytes;
	if (limit == 0 || !server->cgroup.path || !is_known(channel))
		return;
	int r = cgroup_confine(&server->cgroup, worker->pid, limit, &channel->leaf);
	worker->confined = r == 0;
	/* One that is gone already needs none. */
	if (r < 0 && r != -ESRCH) {
		struct log_fields fields = about_worker(worker);
		log_event(
			LOG_LEVEL_WARNING, &fields,
			"pool %s: worker %u (pid %ld) got no cgroup, so its memory is only looked "
			"at now and then: %s",
			fields.pool, fields.worker, (long)fields.pid, strerror(-r));
	}
}

void worker_process_ended(const struct channel *channel, struct worker_end *end)
{
	if (!channel->leaf || end->signal != SIGKILL)
		return;
	struct cgroup_usage usage = cgroup_usage(channel->leaf);
	if (usage.killed)
		end->memory_bytes = usage.peak_bytes > 0 ? usage.peak_bytes
							 : channel->runtime->spec->memory_bytes;
}
