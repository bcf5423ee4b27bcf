/* SPDX-License-Identifier: MIT */
/* The methods that change pools and workers, for those who may. */
#pragma once

struct call;

void administer_recycle(struct call *call);
