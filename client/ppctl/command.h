/* SPDX-License-Identifier: MIT */
/*
 * The commands of ppctl. A new one touches: the table in main.c, its handler here, ppctl.1.scd, the
 * completion and tests/e2e/test_ppctl*.py.
 */
#pragma once

#include <stdbool.h>

#include "errors.h"
#include "session.h"

/* Runs in a session that is connected (but see `unconnected`). What it prints to session->output is
 * written afterwards. */
typedef enum exit_status (*command_fn)(struct session *session);

struct command {
	const char *name;
	const char *usage;   /* its operands */
	const char *summary; /* one line */
	const char *help;    /* paragraphs, or NULL */
	const char *options; /* letters of arguments.c, beside OPTIONS_COMMON */
	bool leading;        /* options come before the first operand only */
	bool unconnected;    /* connects by itself, if at all */
	int operands_min;
	int operands_max; /* -1: any number */
	command_fn run;
};

/* call.c */
enum exit_status command_apply(struct session *session);
enum exit_status command_async(struct session *session);
/* map.c */
enum exit_status command_map(struct session *session);
/* job.c */
enum exit_status command_wait(struct session *session);
enum exit_status command_result(struct session *session);
enum exit_status command_cancel(struct session *session);
enum exit_status command_job(struct session *session);
enum exit_status command_jobs(struct session *session);
/* watch.c */
enum exit_status command_watch(struct session *session);
/* observe.c */
enum exit_status command_pools(struct session *session);
enum exit_status command_workers(struct session *session);
enum exit_status command_functions(struct session *session);
enum exit_status command_ping(struct session *session);
/* administer.c */
enum exit_status command_recycle(struct session *session);
enum exit_status command_reload(struct session *session);
enum exit_status command_scale(struct session *session);
enum exit_status command_pause(struct session *session);
enum exit_status command_resume(struct session *session);
enum exit_status command_drain(struct session *session);
enum exit_status command_kill(struct session *session);
/* doctor.c */
enum exit_status command_doctor(struct session *session);
/* stats.c */
enum exit_status command_stats(struct session *session);
