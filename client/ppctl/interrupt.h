/* SPDX-License-Identifier: MIT */
/*
 * SIGINT, SIGTERM and SIGHUP, as something to poll for. The handler's state is the only state of
 * ppctl that is not in a struct, because a handler gets no pointer.
 */
#pragma once

/* Catches them, except those that ppctl was started to ignore. -1 without descriptors left. */
int interrupt_init(void);
/* A descriptor that becomes and stays readable when one has come; -1 before interrupt_init(). */
int interrupt_fd(void);
/* The first that came, or 0. */
int interrupt_signal(void);
/* Ends the program as if it had never caught the signal, so that a shell sees what ended it. */
__attribute__((noreturn)) void interrupt_die(int signal);
