/* SPDX-License-Identifier: MIT */
/* Preloaded, makes libprocpool say that it is of another version. */
#include <procpool.h>

const char *procpool_version(void)
{
	return "9.9";
}
