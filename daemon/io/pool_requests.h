/* SPDX-License-Identifier: MIT */
/* The methods with which sessions have pools of their own: open, close, join and terminate. */
#pragma once

struct call;

void pool_handle_open(struct call *call);
void pool_handle_close(struct call *call);
void pool_handle_join(struct call *call);
void pool_handle_terminate(struct call *call);
