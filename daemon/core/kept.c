/* SPDX-License-Identifier: MIT */
/*
 * Finished jobs that can still be fetched: for a time, and as many bytes of them as their user and
 * session may have; the oldest go first.
 */
#include <assert.h>

#include "core/core.h"

static uint64_t kept_bytes(const struct job *job)
{
	return job->outcome.value.size + JOB_KEPT_BYTES + names_job_bytes(job->function);
}

void core_forget_job(struct core *core, struct job *job)
{
	struct user *user = job->session->user;
	assert(job->kept);
	job->kept = false;
	core->kept_count--;
	core->forgotten_bytes += kept_bytes(job);
	TAILQ_REMOVE(&user->kept, job, in_queue);
	TAILQ_REMOVE(&job->session->kept, job, in_session);
	account_release(&job->session->account, RESOURCE_RETAINED_BYTES, kept_bytes(job));
	if (TAILQ_EMPTY(&user->kept))
		timer_heap_clear(&core->timers, &user->retention_timer);
	if (job->assigned == 0)
		core_free_job(core, job);
}

/* Room for so many bytes more, where need be made by forgetting the oldest. */
static bool charge_kept(struct core *core, struct session *session, uint64_t bytes)
{
	while (account_charge(&session->account, RESOURCE_RETAINED_BYTES, bytes)) {
		const struct account_limit *limit = &core->session_limits[RESOURCE_RETAINED_BYTES];
		bool session_full =
			session->account.used[RESOURCE_RETAINED_BYTES] + bytes > limit->value;
		struct job *oldest =
			TAILQ_FIRST(session_full ? &session->kept : &session->user->kept);
		if (!oldest)
			return false;
		core_forget_job(core, oldest);
	}
	return true;
}

bool core_keep_job(struct core *core, struct job *job, uint64_t now_us)
{
	struct user *user = job->session->user;
	if (core->stopping || !charge_kept(core, job->session, kept_bytes(job)))
		return false;
	blob_unref(job->request);
	job->request = NULL;
	job->kept = true;
	core->kept_count++;
	if (TAILQ_EMPTY(&user->kept))
		timer_heap_set(&core->timers, &user->retention_timer,
			       now_us + core->limits.retained_seconds * 1000000);
	TAILQ_INSERT_TAIL(&user->kept, job, in_queue);
	TAILQ_INSERT_TAIL(&job->session->kept, job, in_session);
	return true;
}

void core_expire_kept(struct core *core, struct user *user, uint64_t now_us)
{
	uint64_t age_us = core->limits.retained_seconds * 1000000;
	struct job *job, *next;
	/* With the last of them, the user may go. */
	for (job = TAILQ_FIRST(&user->kept); job; job = next) {
		next = TAILQ_NEXT(job, in_queue);
		if (job->since_us + age_us > now_us) {
			timer_heap_set(&core->timers, &user->retention_timer,
				       job->since_us + age_us);
			return;
		}
		core_forget_job(core, job);
	}
}
