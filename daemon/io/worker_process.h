/* SPDX-License-Identifier: MIT */
/*
 * What the system knows of a worker's process, and enforces on it: its health, its use of memory
 * and the limit of it.
 */
#pragma once

struct channel;
struct server;
struct worker_end;

/* Looks at the worker's process for the core: health_judge(). */
void worker_process_check(struct channel *channel);

/* Where a pool of the configuration limits memory: looks, once, for what enforces that. */
void worker_process_limit_memory(struct server *server);

/* Its pid is known: where its pool limits memory, and the system can enforce that, it does. */
void worker_process_confine(struct channel *channel);

/* It has ended: enters whether the system killed it for want of memory. */
void worker_process_ended(const struct channel *channel, struct worker_end *end);
