/* SPDX-License-Identifier: MIT */
/*
 * The waiting jobs of a pool, in the order in which they may be served: deficit round robin over
 * users, within a user over sessions, within a session by priority, and where that is the same
 * first come first served.
 *
 * What is shared is workers' time: each round, a flow may use a quantum of microseconds; what a
 * task took is charged when it is known, and an overdraft is worked off in later rounds, also while
 * the flow itself has nothing waiting: else one that submits a job at a time would never pay. Where
 * nobody else waits, nobody owes anything. No operation depends on the number of jobs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/job.h"
#include "proto/options.h"

#define FAIR_QUANTUM_US 1000
/* The largest overdraft. A task may have begun long before anybody else came. */
#define FAIR_DEBT_MAX_US (60 * INT64_C(1000000))

#define FLOW_LEVELS (TASK_PRIORITY_MAX - TASK_PRIORITY_MIN + 1)

TAILQ_HEAD(flow_list, flow);

/* The flows with work of one level, whose turn it is first. */
struct flow_ring {
	struct flow_list flows;
	unsigned count;
	double round_us; /* what each flow could have used since the beginning, by its quanta */
	uint64_t epoch;  /* how often the ring has become empty, which ends all debts */
};

/* The share of one user, or of one session of a user, in one queue. */
struct flow {
	struct fair_queue *queue;
	struct flow *parent;        /* a session's: its user's flow; a user's: NULL */
	struct flow **owner_flows;  /* the list of its user or session that it is in */
	struct flow *next_of_owner; /* same user or session, another queue */
	LIST_ENTRY(flow) of_queue;
	int64_t deficit_us; /* what it may still use in this round; negative: its debt */
	double left_us;     /* while not in its ring: the ring's round_us and epoch then */
	uint64_t left_epoch;
	bool active; /* in its ring */
	bool parked; /* a session that may not be served now */
	TAILQ_ENTRY(flow) in_ring;
	struct flow_ring children; /* a user's: sessions with work */
	/* A session's, of each priority, the lowest first. */
	struct job_list jobs[FLOW_LEVELS];
	unsigned levels; /* bit i: jobs[i] is not empty */
};

struct fair_queue {
	struct flow_ring users;
	LIST_HEAD(, flow) flows; /* all, also those without work */
};

void fair_queue_init(struct fair_queue *queue);
/* Frees its flows, which must have no jobs: users and sessions forget them. */
void fair_queue_fini(struct fair_queue *queue);

/*
 * The flow of a session in this queue, made if there is none. The lists are the user's and the
 * session's, stay where they are, and end with flows_destroy(). NULL without memory.
 */
struct flow *fair_queue_flow(struct fair_queue *queue, struct flow **user_flows,
			     struct flow **session_flows);

/* Frees the flows of one user or session, which must have no jobs; sessions before their user. */
void flows_destroy(struct flow **flows);

/* Enters a job at the end of those of its priority, or, where it had been served already, at the
 * front. */
void fair_queue_push(struct flow *flow, struct job *job);
void fair_queue_push_front(struct flow *flow, struct job *job);
void fair_queue_remove(struct flow *flow, struct job *job);

/* Whose turn it is, or NULL. The job stays. */
struct job *fair_queue_peek(struct fair_queue *queue);

/* Charges a session and its user; negative: an estimate had been too high. */
void fair_queue_charge(struct flow *flow, int64_t us);

/* A parked session keeps its place but is passed over. */
void flows_park(struct flow *session_flows, bool parked);
