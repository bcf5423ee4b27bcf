/* SPDX-License-Identifier: MIT */
/* What runtimes say (WORKER.md, "Messages from the runtime"), told to the core. */
#pragma once

struct channel;
struct frame;

/* Handles one message. NULL; or what was wrong with it, for people: end the process. Static memory.
 */
const char *runtime_message(struct channel *channel, const struct frame *frame);
