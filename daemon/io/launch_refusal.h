/* SPDX-License-Identifier: MIT */
/* What people are told where the launcher starts nothing, and what they can do. */
#pragma once

/* refusal: enum launch_refusal; error: an errno, or 0; group: "" for none. To be freed; NULL
 * without memory. */
char *launch_refusal_explain(int refusal, int error, const char *user, const char *group);
