/* SPDX-License-Identifier: MIT */
#include "io/config_key.h"

#include <assert.h>
#include <string.h>
#include <sys/resource.h>

#include "core/access.h"
#include "core/pool_spec.h"
#include "io/config.h"
#include "io/config_access.h"
#include "io/config_pool.h"
#include "io/config_value.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* clang-format off */
#define RANGE(low, high)     .min = (low), .max = (high)
#define SECTION(list, title) {.name = (title), .keys = (list), .count = COUNT(list)}

#define FIELD(field)         .offset = offsetof(struct config, field)

static const struct config_key daemon_keys[] = {
	{"socket",        &config_string,  FIELD(socket), .check = config_check_socket,
	 .unset = "$XDG_RUNTIME_DIR/procpool/procpoold.sock, for root in /run"},
	{"workers",       &config_count,   FIELD(workers), RANGE(1, POOL_WORKERS_MAX)},
	{"log_level",     &config_level,   FIELD(log_level)},
	{"grace_seconds", &config_count,   FIELD(grace_seconds), RANGE(0, 86400)},
	{"slow_seconds",  &config_seconds, FIELD(slow_us)},
};
const struct config_section config_daemon_keys = SECTION(daemon_keys, "root");
#undef FIELD

/* What is part of the protocol cannot be set. */
static const struct config_key limit_keys[] = {
#define LIMIT(title, kind, low, high)                                                              \
	{#title, &config_##kind, .offset = offsetof(struct limits, title), RANGE(low, high)}
	LIMIT(depth,                  fixed,  0, 0),
	LIMIT(value_depth,            fixed,  0, 0),
	LIMIT(message_bytes,          bytes,  4096, UINT32_MAX),
	LIMIT(name_bytes,             bytes,  16, UINT16_MAX),
	LIMIT(frame_seconds,          number, 1, CONFIG_SECONDS_MAX),
	LIMIT(stall_seconds,          number, 1, CONFIG_SECONDS_MAX),
	LIMIT(connections,            number, 1, CONFIG_NUMBER_MAX),
	LIMIT(connections_user,       number, 1, CONFIG_NUMBER_MAX),
	LIMIT(jobs_user,              number, 1, CONFIG_NUMBER_MAX),
	LIMIT(jobs_session,           number, 1, CONFIG_NUMBER_MAX),
	LIMIT(queued_bytes_user,      bytes,  1, CONFIG_NUMBER_MAX),
	LIMIT(queued_bytes_session,   bytes,  1, CONFIG_NUMBER_MAX),
	LIMIT(retained_bytes_user,    bytes,  0, CONFIG_NUMBER_MAX),
	LIMIT(retained_bytes_session, bytes,  0, CONFIG_NUMBER_MAX),
	LIMIT(retained_seconds,       number, 0, CONFIG_SECONDS_MAX),
	LIMIT(output_bytes_user,      bytes,  1, CONFIG_NUMBER_MAX),
	LIMIT(output_bytes_session,   bytes,  1, CONFIG_NUMBER_MAX),
	LIMIT(waits_session,          number, 1, CONFIG_NUMBER_MAX),
	LIMIT(subscriptions_session,  number, 1, CONFIG_NUMBER_MAX),
	LIMIT(retries_max,            number, 1, CONFIG_NUMBER_MAX),
	LIMIT(pools_session,          number, 1, CONFIG_NUMBER_MAX),
	LIMIT(workers_session,        number, 1, CONFIG_NUMBER_MAX),
	LIMIT(progress_bytes,         fixed,  0, 0),
	LIMIT(jobs_page,              number, 1, CONFIG_NUMBER_MAX),
#undef LIMIT
};
const struct config_section config_limit_keys = SECTION(limit_keys, "limits");

#define X(name, value, text) +1
_Static_assert(COUNT(limit_keys) == 0 PROTO_LIMITS(X), "every limit has a row, in the same order");
#undef X

#define FIELD(field)         .offset = offsetof(struct access, field)

static const struct config_key access_keys[] = {
	{"call",       &config_access_list, FIELD(call), .check = config_check_accounts},
	{"observe",    &config_access_list, FIELD(observe), .check = config_check_accounts},
	{"administer", &config_access_list, FIELD(administer), .check = config_check_accounts},
};
const struct config_section config_access_keys = SECTION(access_keys, "access");
#undef FIELD

#define FIELD(field)         .offset = offsetof(struct pool_spec, field)
#define WORKERS(low)         RANGE(low, POOL_WORKERS_MAX)

static const struct config_key pool_keys[] = {
	{"modules",       &config_strings,       FIELD(modules), .check = config_check_names,
	 .unset = "none"},
	{"workers",       &config_workers,       FIELD(workers), WORKERS(1)},
	{"runtime",       &config_runtime,       FIELD(runtime), .check = config_check_not_empty,
	 .unset = "the native one, or that of the interpreter"},
	{"interpreter",   &config_string,        FIELD(interpreter),
	 .check = config_check_not_empty, .unset = "none"},
	{"initializer",   &config_string,        FIELD(initializer),
	 .check = config_check_not_empty, .unset = "none"},
	{"initargs",      &config_initargs,      FIELD(initargs), .unset = "none"},
	{"preload",       &config_preload,       FIELD(preload_always)},
	{"pickle",        &config_flag,          FIELD(pickle)},
	{"user",          &config_string,        FIELD(user), .check = config_check_user,
	 .unset = "the daemon's"},
	{"group",         &config_string,        FIELD(group), .check = config_check_group,
	 .unset = "the user's"},
	{"workers_min",   &config_workers_range, FIELD(workers_min), WORKERS(1)},
	{"workers_max",   &config_workers_range, FIELD(workers_max), WORKERS(1)},
	{"idle_seconds",  &config_idle,          FIELD(idle_us)},
	{"extra_workers", &config_count,         FIELD(extra_workers), WORKERS(0)},
	{"max_tasks",     &config_number,        FIELD(max_tasks), RANGE(1, CONFIG_NUMBER_MAX),
	 .unset = "no limit"},
	{"max_rss",       &config_bytes,         FIELD(max_rss_bytes),
	 RANGE(1 << 20, CONFIG_NUMBER_MAX), .unset = "no limit"},
	{"memory",        &config_bytes,         FIELD(memory_bytes),
	 RANGE(1 << 20, CONFIG_NUMBER_MAX), .unset = "no limit"},
	{"stop_seconds",  &config_seconds,       FIELD(stop_us)},
	{"slow_seconds",  &config_seconds,       FIELD(slow_us)},
	{"cwd",           &config_string,        FIELD(process.cwd), .check = config_check_absolute,
	 .unset = "the daemon's"},
	{"environment",   &config_strings,       FIELD(process.environment),
	 .check = config_check_variable, .unset = "the daemon's"},
	{"umask",         &config_umask,         FIELD(process), .unset = "the daemon's"},
	{"nice",          &config_integer,       FIELD(process.nice), RANGE(-20, 19)},
	{"affinity",      &config_cpus,          FIELD(process), RANGE(0, PROCESS_CPUS_MAX - 1),
	 .unset = "all of the daemon's"},
	{"cpu_seconds",   &config_process_limit, FIELD(process), RANGE(1, CONFIG_SECONDS_MAX),
	 .resource = RLIMIT_CPU, .unset = "the daemon's"},
	{"open_files",    &config_process_limit, FIELD(process), RANGE(16, 1 << 30),
	 .resource = RLIMIT_NOFILE, .unset = "the daemon's"},
	{"core_bytes",    &config_process_limit, FIELD(process), RANGE(0, CONFIG_NUMBER_MAX),
	 .resource = RLIMIT_CORE, .unset = "the daemon's"},
};
const struct config_section config_pool_keys = SECTION(pool_keys, "pool");
/* clang-format on */

const struct config_key *config_key_find(const struct config_section *section, const char *name)
{
	for (size_t i = 0; i < section->count; i++)
		if (strcmp(section->keys[i].name, name) == 0)
			return &section->keys[i];
	return NULL;
}

const struct config_key *config_key_of(const cfg_t *section, const cfg_opt_t *opt)
{
	static const struct config_section *const all[] = {&config_daemon_keys, &config_limit_keys,
							   &config_access_keys, &config_pool_keys};
	const struct config_key *key = NULL;
	for (size_t i = 0; !key && i < COUNT(all); i++)
		if (strcmp(all[i]->name, section->name) == 0)
			key = config_key_find(all[i], opt->name);
	assert(key);
	return key;
}
