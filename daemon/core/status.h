/* SPDX-License-Identifier: MIT */
/*
 * How the daemon is, in a line for people: what `systemctl status` shows. Everybody on the machine
 * may read it, so that it names configured pools only, and no words of exceptions. It is one line
 * whatever runtimes have said, because each further line would be an order to the service manager.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct pool;

#define STATUS_SIZE 512 /* bytes of a line, with its end */

/* Whether the pool is warm, or known not to become so. */
bool status_is_settled(const struct pool *pool);

/* Until all pools have settled; while it serves; and from core_stop() on. */
void status_of_start(const struct core *core, char text[STATUS_SIZE]);
void status_of_service(const struct core *core, char text[STATUS_SIZE]);
void status_of_end(const struct core *core, uint64_t now_us, char text[STATUS_SIZE]);
