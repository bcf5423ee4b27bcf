/* SPDX-License-Identifier: MIT */
/* The methods that change pools and workers, for those who may. */
#pragma once

struct call;

void administer_recycle(struct call *call);
void administer_reload(struct call *call);
void administer_scale(struct call *call);
void administer_pause(struct call *call);
void administer_resume(struct call *call);
void administer_drain(struct call *call);
void administer_kill(struct call *call);
