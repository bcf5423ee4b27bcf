/* SPDX-License-Identifier: MIT */
/*
 * <procpool/module.h>: writing functions that run in procpool's workers.
 *
 * A module is a shared object that exports named functions. The daemon's native runtime loads it
 * once, forks workers that share its memory, and runs one call at a time in each. A complete one:
 *
 *	#include <procpool/module.h>
 *
 *	// greet(name): a greeting
 *	static int greet(struct procpool_call *call)
 *	{
 *		const char *name;
 *		size_t size;
 *		if (procpool_arg_check(call, 1, 1) || procpool_arg_string(call, 0, &name, &size))
 *			return -1;
 *		if (size == 0)
 *			return procpool_fail(call, "ValueError", "the name is empty");
 *		struct procpool_writer *w = procpool_result(call);
 *		procpool_write_map(w, 1);
 *		procpool_write_string(w, "hello");
 *		procpool_write_string_n(w, name, size);
 *		return 0;
 *	}
 *
 *	static const struct procpool_function functions[] = {
 *		{"greet", "greet(name): a greeting", greet},
 *	};
 *
 *	PROCPOOL_MODULE("polite", "Good manners.", functions, NULL, NULL);
 *
 * Built with `cc -shared -fPIC -o polite.so polite.c $(pkg-config --cflags procpool)` and named in
 * the daemon's configuration, it is called as `polite.greet`. What is declared here and in
 * <procpool/value.h> needs no library: the runtime provides it when it loads the module.
 *
 * Process: everything at file scope (static data, constructors) runs once, in the pool's first
 * process, and is shared by its workers until they write to it. That process must stay with a
 * single thread: a module that starts threads while it is loaded is loaded in every worker anew
 * instead, with a warning. Descriptors opened before the fork are closed in the workers. So open
 * files, connect and start threads in the initializer, which runs in each worker before its first
 * call.
 *
 * Calls: a function may change the process it runs in; the next call sees what it did. It may
 * crash, which costs that one call. It must not throw C++ exceptions out, longjmp out, call exit()
 * or touch descriptor 3. Standard input is /dev/null. Standard output and error go to the daemon's
 * log, and in a pool that a client has opened, to that client: lines as they end, the rest when the
 * function returns.
 *
 * Memory: what a function reads from its arguments is borrowed until it returns. What it returns or
 * fails with is copied at once, but for procpool_return_value() of a piece of the arguments, which
 * is passed on without a copy. struct procpool_call is valid until the function returns.
 *
 * Threads: a function may use threads, but only the thread that it was called in may use its
 * struct procpool_call. procpool_log() may be called from any thread. A function must be finished
 * in the process that it was called in: after fork() a child may exec or _exit, but never return.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <procpool/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes whenever a module must be rebuilt; the runtime refuses a module with another one. */
#define PROCPOOL_MODULE_ABI 1

#if defined(__GNUC__)
#define PROCPOOL_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define PROCPOOL_PRINTF(text, first)
#endif

/* One call under way. */
struct procpool_call;

/*
 * A function: reads its arguments, then returns 0 after one of procpool_return_*() (without: nil),
 * or anything else after procpool_fail() or after a procpool_arg_*() that failed. A failure once
 * recorded is the call's outcome even where the function returns 0.
 */
typedef int (*procpool_function_fn)(struct procpool_call *call);

struct procpool_function {
	const char *name; /* a C identifier, at most 127 bytes; callers name it MODULE.NAME */
	const char *doc;  /* one line for people, at most 1023 bytes; NULL for none */
	procpool_function_fn fn;
};

/* What a module exports; made by PROCPOOL_MODULE(). */
struct procpool_module {
	uint32_t abi; /* first in every ABI version */
	const char *name;
	const char *doc;
	const struct procpool_function *functions;
	size_t function_count;
	int (*initializer)(struct procpool_call *call);
	void (*finalizer)(void);
};

/*
 * Exports the module, once in a shared object, at file scope.
 *
 * name         a C identifier, at most 127 bytes
 * doc          one line for people, or NULL
 * functions    an array of struct procpool_function
 * initializer  int (*)(struct procpool_call *), run in each worker before its first call, with the
 *              pool's initargs as arguments. What it returns is dropped; failing keeps the
 *              worker from starting. Or NULL.
 * finalizer    void (*)(void), run when a worker ends in an orderly way. Or NULL.
 */
#define PROCPOOL_MODULE(name, doc, functions, initializer, finalizer)                              \
	const struct procpool_module procpool_module = {                                           \
		PROCPOOL_MODULE_ABI,                                                               \
		(name),                                                                            \
		(doc),                                                                             \
		(functions),                                                                       \
		sizeof(functions) / sizeof((functions)[0]),                                        \
		(initializer),                                                                     \
		(finalizer)}

PROCPOOL_PUBLIC extern const struct procpool_module procpool_module;

/* ---- Arguments ----
 *
 * Index i counts from 0. These return 0 and write *ret; or they record a failure that
 * says which argument is wrong and how (the caller gets the error `bad-request`), leave *ret alone
 * and return -1, and the function should return -1 at once. Types convert as the functions
 * procpool_value_*() of <procpool/value.h> do. For an optional argument ask procpool_arg_count()
 * first.
 */

/* How many arguments the call has. */
PROCPOOL_PUBLIC size_t procpool_arg_count(const struct procpool_call *call);

/* Checks that there are at least min and at most max arguments (SIZE_MAX: any number). */
PROCPOOL_PUBLIC int procpool_arg_check(struct procpool_call *call, size_t min, size_t max);

/* Argument i, or a value of size 0 where there are fewer; records no failure. */
PROCPOOL_PUBLIC struct procpool_value procpool_arg(struct procpool_call *call, size_t i);

PROCPOOL_PUBLIC int procpool_arg_value(struct procpool_call *call, size_t i,
				       struct procpool_value *ret);
PROCPOOL_PUBLIC int procpool_arg_bool(struct procpool_call *call, size_t i, bool *ret);
PROCPOOL_PUBLIC int procpool_arg_int(struct procpool_call *call, size_t i, int64_t *ret);
PROCPOOL_PUBLIC int procpool_arg_uint(struct procpool_call *call, size_t i, uint64_t *ret);
PROCPOOL_PUBLIC int procpool_arg_double(struct procpool_call *call, size_t i, double *ret);
/* *ret points to *ret_size bytes, borrowed, without a NUL behind them. */
PROCPOOL_PUBLIC int procpool_arg_string(struct procpool_call *call, size_t i, const char **ret,
					size_t *ret_size);
/* Bytes or a string, likewise. */
PROCPOOL_PUBLIC int procpool_arg_bytes(struct procpool_call *call, size_t i, const void **ret,
				       size_t *ret_size);
/*
 * A string or bytes as NUL-terminated text in memory of the call, borrowed until the function
 * returns: for file names and whatever else goes to C functions. Contained NULs are a failure.
 */
PROCPOOL_PUBLIC int procpool_arg_text(struct procpool_call *call, size_t i, const char **ret);

/*
 * Records that the arguments are wrong in a way that the functions above do not know: the error
 * `bad-request` with this message. Returns -1.
 */
PROCPOOL_PUBLIC int procpool_arg_fail(struct procpool_call *call, const char *format, ...)
	PROCPOOL_PRINTF(2, 3);

/* ---- Results ----
 *
 * Each sets the call's value; the last one counts. They return 0, or -1 without memory (the caller
 * gets the error `out-of-memory`), so that `return procpool_return_int(call, x);` is right.
 *
 * A value that is larger than the pool's message_bytes or nests deeper than its value_depth (24 by
 * default) reaches the caller as the error `too-large`.
 */

PROCPOOL_PUBLIC int procpool_return_nil(struct procpool_call *call);
PROCPOOL_PUBLIC int procpool_return_bool(struct procpool_call *call, bool b);
PROCPOOL_PUBLIC int procpool_return_int(struct procpool_call *call, int64_t i);
PROCPOOL_PUBLIC int procpool_return_uint(struct procpool_call *call, uint64_t i);
PROCPOOL_PUBLIC int procpool_return_double(struct procpool_call *call, double d);
/* NUL-terminated text. */
PROCPOOL_PUBLIC int procpool_return_string(struct procpool_call *call, const char *text);
/* `size` bytes. */
PROCPOOL_PUBLIC int procpool_return_string_n(struct procpool_call *call, const char *text,
					     size_t size);
PROCPOOL_PUBLIC int procpool_return_bytes(struct procpool_call *call, const void *data,
					  size_t size);
/*
 * Any value. One that lies within the call's arguments is passed on as it is, without a copy;
 * others are copied. It must be well-formed, which is checked: otherwise the call fails.
 */
PROCPOOL_PUBLIC int procpool_return_value(struct procpool_call *call, struct procpool_value value);
/*
 * For arrays, maps and everything else: an empty writer, owned by the call, into which the function
 * writes exactly one value. Counts that do not match what was written make the call fail.
 */
PROCPOOL_PUBLIC struct procpool_writer *procpool_result(struct procpool_call *call);

/* ---- Failing ---- */

/*
 * The caller gets the error `function-failed` with this type (a short name such as
 * "ValueError", at most 63 bytes, or NULL) and message. Returns -1, for `return procpool_fail(…);`.
 * Called again, it replaces type and message.
 */
PROCPOOL_PUBLIC int procpool_fail(struct procpool_call *call, const char *type, const char *format,
				  ...) PROCPOOL_PRINTF(3, 4);
PROCPOOL_PUBLIC int procpool_vfail(struct procpool_call *call, const char *type, const char *format,
				   va_list args) PROCPOOL_PRINTF(3, 0);
/*
 * A writer for the failure's `data`: one value of any kind that tells a program what people read in
 * the message. Used before or after procpool_fail(); alone it makes no failure.
 */
PROCPOOL_PUBLIC struct procpool_writer *procpool_fail_data(struct procpool_call *call);
/* The caller gets the error `out-of-memory`, for a malloc() that returned NULL. Returns -1. */
PROCPOOL_PUBLIC int procpool_fail_memory(struct procpool_call *call);

/* ---- Stopping ----
 *
 * A call may be asked to stop: it ran past the timeout that its caller gave it, or was
 * cancelled. Nothing interrupts it. One that looks, and then fails soon, keeps its worker, with all
 * that is loaded and warm in it; one that does not is killed with its worker when the pool's
 * stop_seconds (1 by default) are over. What it returns or fails with after it was asked does not
 * become the caller's value; type and data of a failure are told with the timeout.
 *
 *	while (work_left()) {
 *		if (procpool_call_stopped(call))
 *			return procpool_fail(call, "Stopped", "asked to stop");
 *		do_some();
 *	}
 */

/* Whether this call is asked to stop: true until it returns. Costs a load from memory, so it may
 * stand in an inner loop. From any thread. False within an initializer. */
PROCPOOL_PUBLIC bool procpool_call_stopped(const struct procpool_call *call);

/* Sleeps so many seconds, not at all where that is not more than 0: returns 0, or 1 at once when
 * the call is asked to stop. Signals do not end it. From any thread. */
PROCPOOL_PUBLIC int procpool_call_sleep(struct procpool_call *call, double seconds);

/* ---- Progress ---- */

/*
 * Tells who has subscribed to the job how far the call has come: any one value, of at
 * most 4096 bytes; it is copied. Calls are cheap and may be many: about 20 at once and 20 a second
 * are passed on. Of those that come faster the newest is kept, and passed on with the next, or when
 * the function returns. Only from the thread that the function was called in.
 *
 * 0; -1 where the value cannot be sent, because it is too large, nests too deep or is malformed:
 * nothing is told, and the call has not failed for it.
 */
PROCPOOL_PUBLIC int procpool_progress(struct procpool_call *call, struct procpool_value value);
/* Likewise the map {done, total}. */
PROCPOOL_PUBLIC int procpool_progress_of(struct procpool_call *call, uint64_t done, uint64_t total);

/* ---- Where the call runs ----
 *
 * Strings are borrowed for the life of the worker.
 */

/* "module.function"; "module initializer" style text within an initializer. */
PROCPOOL_PUBLIC const char *procpool_call_function(const struct procpool_call *call);
/* The pool's name. */
PROCPOOL_PUBLIC const char *procpool_call_pool(const struct procpool_call *call);
/* The id of the job that the call belongs to, which all elements of a map share; 0 within an
 * initializer. */
PROCPOOL_PUBLIC uint64_t procpool_call_job(const struct procpool_call *call);
/* Which attempt at this call it is: 1, or more where the caller allowed retries and those before
 * failed. */
PROCPOOL_PUBLIC unsigned procpool_call_attempt(const struct procpool_call *call);
/* The number of this worker in its pool, from 1; and how many workers the pool wants. */
PROCPOOL_PUBLIC unsigned procpool_call_worker(const struct procpool_call *call);
PROCPOOL_PUBLIC unsigned procpool_call_workers(const struct procpool_call *call);

/* ---- The log ---- */

/* Writes a line to the daemon's log; at most 1023 bytes, longer ones are cut. From any thread of a
 * worker; it does nothing while the module is loaded in the pool's first process. */
enum procpool_log_level {
	PROCPOOL_LOG_ERROR,
	PROCPOOL_LOG_WARNING,
	PROCPOOL_LOG_INFO,
	PROCPOOL_LOG_DEBUG,
};
PROCPOOL_PUBLIC void procpool_log(enum procpool_log_level level, const char *format, ...)
	PROCPOOL_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
