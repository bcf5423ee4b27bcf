/* SPDX-License-Identifier: MIT */
/* A module as another version of the ABI would export it: only the first member is common to all.
 */
#include <procpool/value.h>

struct module_of_another_version {
	uint32_t abi;
	const char *whatever;
};

PROCPOOL_PUBLIC extern const struct module_of_another_version procpool_module;
const struct module_of_another_version procpool_module = {4711, "unknown"};
