/* SPDX-License-Identifier: MIT */
/*
 * <procpool.h>: libprocpool, calling functions in the worker processes of procpoold.
 *
 *	struct procpool *pp;
 *	struct procpool_outcome out = PROCPOOL_OUTCOME_INIT;
 *	struct procpool_writer args;
 *	int64_t n;
 *
 *	procpool_writer_init(&args);
 *	procpool_write_array(&args, 1);
 *	procpool_write_int(&args, 41);
 *	if (procpool_connect(NULL, &pp, &out) != PROCPOOL_OK)
 *		errx(1, "%s", out.message);
 *	if (procpool_apply(pp, "demo.inc", procpool_writer_value(&args), NULL, &out) == 0 &&
 *	    procpool_value_int(out.value, &n))
 *		printf("%" PRId64 "\n", n);
 *	procpool_close(pp);
 *	procpool_writer_fini(&args);
 *	procpool_outcome_fini(&out);
 *
 * There are three ways to run a function; each exists for one call (apply) and for one call per
 * element of an array (map):
 *
 *                         returns            the outcome comes
 *   procpool_apply        when it has run    in *out
 *   procpool_apply_async  at once: a call    to a callback, or by procpool_call_wait()
 *   procpool_submit       a job's id         by procpool_wait() or procpool_fetch(), also on
 *                                            another connection; and as a push
 *
 * A call belongs to its connection and ends with it. A job has an id, its result is kept for a
 * while, and with the option `detach` it outlives the connection. (On the wire a call is the
 * method apply or map, a job apply_async or map_async; a map with `on_items` is a streamed
 * map_async.)
 *
 * Results. Every function that can fail returns an enum procpool_code, PROCPOOL_OK is 0. The
 * blocking ones describe it, with the value or the error, in a struct procpool_outcome that the
 * caller owns. What a callback receives is borrowed: it is gone when the callback returns.
 *
 * Nothing is ever submitted twice. When the connection is lost, every call in flight ends, once,
 * with PROCPOOL_ERR_LOST (it may or may not have run) or PROCPOOL_ERR_NOT_SENT (it certainly has
 * not), and later ones fail with PROCPOOL_ERR_NOT_SENT until procpool_reconnect().
 *
 * Threads: a connection, with its calls, is used by one thread at a time; different connections
 * by different threads at the same time. Nothing is shared between connections.
 *
 * Fork: a child must not use its parent's connections. There every function fails with
 * PROCPOOL_ERR_FORKED and does nothing, except procpool_close(): it closes the child's copy of
 * the descriptor and frees its memory, calls no callback and leaves the parent's connection as it
 * is.
 *
 * The library prints nothing, ends no process, sets no signal handler, raises no SIGPIPE and
 * opens its descriptors close-on-exec.
 */
#pragma once

#include <procpool/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct procpool;      /* a connection to a daemon */
struct procpool_call; /* a call in flight on it */

/*
 * What became of a call. The first group are the daemon's codes (PROTOCOL.md, "Errors"), the
 * second is the library's own.
 */
enum procpool_code {
	PROCPOOL_OK = 0,
	PROCPOOL_ERR_BAD_REQUEST,
	PROCPOOL_ERR_UNKNOWN_METHOD,
	PROCPOOL_ERR_UNKNOWN_FUNCTION,
	PROCPOOL_ERR_AMBIGUOUS,
	PROCPOOL_ERR_NO_SUCH_POOL,
	PROCPOOL_ERR_NO_SUCH_JOB,
	PROCPOOL_ERR_DENIED,
	PROCPOOL_ERR_BUSY,
	PROCPOOL_ERR_TOO_LARGE,
	PROCPOOL_ERR_FUNCTION_FAILED,
	PROCPOOL_ERR_TIMEOUT,
	PROCPOOL_ERR_EXPIRED,
	PROCPOOL_ERR_CANCELLED,
	PROCPOOL_ERR_WORKER_LOST,
	PROCPOOL_ERR_OUT_OF_MEMORY, /* in the worker */
	PROCPOOL_ERR_INITIALIZER_FAILED,
	PROCPOOL_ERR_WOULD_DEADLOCK,
	PROCPOOL_ERR_NOT_READY, /* of a call: no pool has the function, but one still loads */
	PROCPOOL_ERR_POOL_CLOSED,
	PROCPOOL_ERR_SHUTTING_DOWN,

	PROCPOOL_ERR_OTHER = 100, /* a code newer than this library: see the outcome's error */
	PROCPOOL_PENDING,         /* not over within the time asked; the call goes on */
	PROCPOOL_ERR_NO_DAEMON,   /* nobody listens at the socket, or it does not exist */
	PROCPOOL_ERR_SYSTEM,      /* the system refused something: see os_error */
	PROCPOOL_ERR_LOST,        /* the connection ended: whether the call has run is unknown */
	PROCPOOL_ERR_NOT_SENT,    /* the connection ended before: the call never runs */
	PROCPOOL_ERR_FORKED,      /* the connection belongs to the parent process */
	PROCPOOL_ERR_INVALID,     /* this header does not allow that argument or moment */
	PROCPOOL_ERR_NO_MEMORY,   /* this process has none for the request or for its outcome */
	PROCPOOL_ERR_INTERRUPTED, /* a signal arrived: only of procpool_poll() */
	PROCPOOL_ERR_CLOSED,      /* a callback closed the connection, which exists no more */
};

/* The name of a code: "busy", "lost". The daemon's are those of PROTOCOL.md. Static memory. */
PROCPOOL_PUBLIC const char *procpool_code_name(enum procpool_code code);
/* A sentence about a code, for people. Static memory. */
PROCPOOL_PUBLIC const char *procpool_code_text(enum procpool_code code);

/*
 * A value or an error. Initialise it, then use it for as many calls as you like: each empties it
 * first (so that its values are good until the next use) and keeps the memory for the next.
 *
 * Wherever a function takes one to fill, NULL is allowed and only the returned code remains.
 */
struct procpool_outcome {
	enum procpool_code code;
	int os_error;                /* errno, where the system said no; else 0 */
	struct procpool_value value; /* with PROCPOOL_OK the value; else of size 0 */
	/* The error as the daemon sent it, a map with code, message and perhaps more (type,
	 * traceback, data, signal, suggestions); of size 0 if there is none. */
	struct procpool_value error;
	const char *message; /* for people, NUL-terminated, never NULL; "" with PROCPOOL_OK */
	int64_t index;       /* of the element that failed, from 0, or -1 */
	uint64_t job;        /* the job whose error it is, or 0 */
	void *memory;        /* private: what the above points to, where it is owned */
	size_t capacity;     /* private */
};

/* clang-format off */
#define PROCPOOL_OUTCOME_INIT {PROCPOOL_OK, 0, {NULL, 0}, {NULL, 0}, "", -1, 0, NULL, 0}
/* clang-format on */

/* Empties it and frees its memory; it can be used again. */
PROCPOOL_PUBLIC void procpool_outcome_fini(struct procpool_outcome *out);

/*
 * Makes *out, which is initialised, an own copy of a borrowed outcome, to keep what a callback
 * got. PROCPOOL_OK or PROCPOOL_ERR_NO_MEMORY.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_outcome_copy(struct procpool_outcome *out,
							 const struct procpool_outcome *from);

/*
 * An element of a collected or streamed map, a pair [error, value], as an outcome that borrows
 * from the pair (nothing to fini; message is procpool_code_text()'s; the daemon's is in `error`).
 * Returns its code; PROCPOOL_ERR_INVALID where it is no such pair.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_outcome_of_pair(struct procpool_value pair,
							    struct procpool_outcome *ret);

/* The version of the library that the program has loaded, "0.1.0". Static memory. */
PROCPOOL_PUBLIC const char *procpool_version(void);

/* ---- Connecting ---- */

struct procpool_connect_options {
	size_t size; /* sizeof(struct procpool_connect_options), set by the initialiser */
	/* Of the socket. NULL: $PROCPOOL_SOCKET where it is set, else the first that somebody
	 * listens at of $XDG_RUNTIME_DIR/procpool/procpoold.sock and /run/procpool/procpoold.sock.
	 */
	const char *path;
	/* Who is calling, for the daemon's log and its lists of jobs. NULL: the program's name. */
	const char *client;
	double seconds; /* how long procpool_connect() may take; 0 or less: as long as it takes */
	bool nonblock;  /* procpool_connect() returns at once, connecting goes on in dispatch */
};

/* clang-format off */
#define PROCPOOL_CONNECT_OPTIONS_INIT {sizeof(struct procpool_connect_options), NULL, NULL, 0, false}
/* clang-format on */

/*
 * Connects and introduces itself (`hello`). options NULL: all defaults. On PROCPOOL_OK *ret is
 * the connection, to be closed with procpool_close(). Else nothing remains:
 * PROCPOOL_ERR_NO_DAEMON (also where it does not answer within the seconds: os_error is
 * ETIMEDOUT), _SYSTEM, _LOST, _NO_MEMORY, _INVALID (options not initialised), or the daemon's
 * code where it refused.
 *
 * With `nonblock` only what fails at once fails here. Calls can be made at once and wait for the
 * connection; if there will be none, procpool_dispatch() says so and they end with
 * PROCPOOL_ERR_NOT_SENT.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_connect(const struct procpool_connect_options *options,
						    struct procpool **ret,
						    struct procpool_outcome *out);

/*
 * Starts a daemon for this process alone (procpoold(8), "Private daemons") and connects to it, for
 * programs that shall work where no daemon runs. It ends when this process ends, however that comes
 * about, with all its workers, and not before: neither with the connection nor with the thread.
 * Each call starts another; for further connections use its path, procpool_path(), in
 * procpool_connect(). (A child after fork(), which is another process, may use that path as long as
 * its parent lives.)
 *
 * arguments: further options for procpoold, NULL-terminated, such as {"--module", "images",
 * "--workers", "4", NULL}; without any, it has no pool but those that are opened
 * (procpool_pool_open()). NULL: none. Its workers have this process's working directory,
 * environment, limits and affinity. What it logs, warnings, goes to standard error.
 *
 * options: as for procpool_connect(), with path NULL (else PROCPOOL_ERR_INVALID). The seconds are
 * for starting, too, which is waited for also with `nonblock`; it takes some milliseconds.
 *
 * The program is $PROCPOOL_DAEMON where that is set, else procpoold in $PATH, else the installed
 * one. As procpool_connect(); PROCPOOL_ERR_NO_DAEMON: there is none, or it did not start.
 *
 * The calling process gets a child for a moment, which is reaped here (and SIGCHLD from it); the
 * daemon itself is none.
 */
PROCPOOL_PUBLIC enum procpool_code
procpool_connect_private(const char *const *arguments,
			 const struct procpool_connect_options *options, struct procpool **ret,
			 struct procpool_outcome *out);

/*
 * Connects again with the same options, after a loss or to begin anew. Calls still in flight end
 * first, as at a loss. Subscriptions and jobs of the old connection that are not detached are
 * gone, jobs that are detached are found by their id. On failure the connection stays lost and
 * this can be repeated. Not allowed in callbacks.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_reconnect(struct procpool *pp,
						      struct procpool_outcome *out);

/*
 * Ends all calls in flight as at a loss (callbacks are called from in here), closes the
 * connection and frees it together with all calls. NULL is allowed. In a callback of this
 * connection: the connection ends at once and is freed when the dispatching function returns,
 * which is then PROCPOOL_ERR_CLOSED.
 */
PROCPOOL_PUBLIC void procpool_close(struct procpool *pp);

enum procpool_state {
	PROCPOOL_CONNECTING, /* only with `nonblock` */
	PROCPOOL_CONNECTED,
	PROCPOOL_LOST,
};
PROCPOOL_PUBLIC enum procpool_state procpool_state(const struct procpool *pp);

/* Why the connection was lost, a sentence; "" while it is not. Borrowed until the next reconnect.
 */
PROCPOOL_PUBLIC const char *procpool_lost_reason(const struct procpool *pp);

/* The path of the socket in use, "" before there is one. Borrowed until the next reconnect. */
PROCPOOL_PUBLIC const char *procpool_path(const struct procpool *pp);

/*
 * The daemon's answer to hello, a map with server, version, protocol, session, rights and limits;
 * of size 0 before it has come. Borrowed until the next reconnect.
 *
 * rights is an array of "call", "observe" and "administer", what this user may do in some pool;
 * the rows of the method `pools` have what it may do in each. Where a right is missing, the call
 * ends as PROCPOOL_ERR_DENIED, and its message says what to ask the administrator for; connecting
 * does, where there is none at all.
 */
PROCPOOL_PUBLIC struct procpool_value procpool_hello(const struct procpool *pp);

/* ---- Options of apply, map and submit ---- */

/*
 * Elements of a streamed map that have finished: outcomes is an array of pairs [error, value]
 * (see procpool_outcome_of_pair()) for the elements first, first + 1, ... Runs of elements come
 * in the order in which they finish, each element once. Borrowed for the time of the callback.
 */
typedef void (*procpool_items_fn)(struct procpool *pp, uint64_t first,
				  struct procpool_value outcomes, void *data);

struct procpool_options {
	size_t size;                  /* sizeof(struct procpool_options), set by the initialiser */
	const char *pool;             /* where to run; NULL: the only pool with that function */
	struct procpool_value kwargs; /* a map of named arguments, or of size 0 */
	uint64_t chunksize;           /* map: elements handed to a worker at a time; 0: as fits */
	bool star;                    /* map: each item is an array of one call's arguments */
	bool collect; /* map: go on where elements fail, the value is an array of pairs [error,
			 value]; without it the first failure ends the map */
	bool detach;  /* submit: the job outlives the connection */
	procpool_items_fn on_items; /* map, map_async: gets the elements as they finish; the call's
				       value is then their number */
	void *items_data;
	double timeout; /* seconds that a call may run, each element of a map anew; then it is
			   stopped and fails with PROCPOOL_ERR_TIMEOUT. 0 or less: any time */
	double expires; /* seconds within which it must begin, each element of a map, else it fails
			   with PROCPOOL_ERR_EXPIRED; below a microsecond: at once. 0 or less: any
			   time */
	uint32_t retries; /* how many times more a call that failed is run, at most 100 */
	int priority;     /* -2 to 2: of this connection's calls, what is higher begins first */
	uint64_t parent;  /* of a function in a worker: its own job (procpool_call_job() there),
			     so that a call that would wait for itself is found; 0: none */
};

/* clang-format off */
#define PROCPOOL_OPTIONS_INIT \
	{sizeof(struct procpool_options), NULL, {NULL, 0}, 0, false, false, false, NULL, NULL, 0, 0, 0, 0, 0}
/* clang-format on */

/* ---- Blocking calls ----
 *
 * Each sends its request, waits for the answer (meanwhile calling the callbacks of whatever else
 * arrives) and fills *out. Not allowed in callbacks (PROCPOOL_ERR_INVALID). Signals do not end
 * the waiting; to give up after a time use the _async form and procpool_call_wait().
 *
 * func                 the function, "module.function" or "package.module:qualname"
 * args, items, params  one array, borrowed for the time of this call; of size 0 for an empty one.
 *                      At most 30 nested containers deep, itself included
 * options              NULL for none; begun with its initialiser; borrowed likewise
 */

/* Calls the function with args; out->value is what it returned. */
PROCPOOL_PUBLIC enum procpool_code procpool_apply(struct procpool *pp, const char *func,
						  struct procpool_value args,
						  const struct procpool_options *options,
						  struct procpool_outcome *out);

/* Calls the function once for each item; out->value is the array of what it returned, in the order
 * of the items. On failure out->index says which. */
PROCPOOL_PUBLIC enum procpool_code procpool_map(struct procpool *pp, const char *func,
						struct procpool_value items,
						const struct procpool_options *options,
						struct procpool_outcome *out);

/* Makes a job that calls the function with args. On PROCPOOL_OK *ret_job is its id. Its end is
 * pushed (procpool_on_push()), too. on_items is not allowed. */
PROCPOOL_PUBLIC enum procpool_code procpool_submit(struct procpool *pp, const char *func,
						   struct procpool_value args,
						   const struct procpool_options *options,
						   uint64_t *ret_job, struct procpool_outcome *out);

/* The same for one call for each item. */
PROCPOOL_PUBLIC enum procpool_code procpool_submit_map(struct procpool *pp, const char *func,
						       struct procpool_value items,
						       const struct procpool_options *options,
						       uint64_t *ret_job,
						       struct procpool_outcome *out);

/*
 * Waits until the job has ended and fetches its value or error; less than 0 seconds: without
 * limit. PROCPOOL_ERR_NOT_READY: it goes on. The daemon keeps results for a time
 * (`retained_seconds`).
 */
PROCPOOL_PUBLIC enum procpool_code procpool_wait(struct procpool *pp, uint64_t job, double seconds,
						 struct procpool_outcome *out);

/* Fetches the value or error of a job that has ended, else PROCPOOL_ERR_NOT_READY. */
PROCPOOL_PUBLIC enum procpool_code procpool_fetch(struct procpool *pp, uint64_t job,
						  struct procpool_outcome *out);

/*
 * Ends a job. out->value is a map: `cancelled`, whether this did it, `state`, the job's state
 * now, `begun`, how many of its calls have begun, and `running`, how many of these ran and are
 * being stopped. A job that has ended keeps its outcome.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_cancel(struct procpool *pp, uint64_t job,
						   struct procpool_outcome *out);

/*
 * Any method of PROTOCOL.md: procpool_request(pp, "pools", params, &out) with params of size 0
 * gives the array of pools in out.value.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_request(struct procpool *pp, const char *method,
						    struct procpool_value params,
						    struct procpool_outcome *out);

/* ---- Pools of one's own ----
 *
 * A pool that belongs to this connection and ends with it, as multiprocessing.Pool() is a pool that
 * belongs to its program. Only root and the user that the daemon runs as may open one
 * (PROCPOOL_ERR_DENIED). What its functions print arrives as pushes `output`
 * (procpool_on_push()).
 *
 *	static const char *const modules[] = {"images", NULL};
 *	struct procpool_pool_options options = PROCPOOL_POOL_OPTIONS_INIT;
 *	char pool[PROCPOOL_POOL_NAME_SIZE];
 *
 *	options.modules = modules;
 *	options.workers = 5;
 *	options.initializer = "images.setup";
 *	if (procpool_pool_open(pp, &options, pool, &out) != PROCPOOL_OK)
 *		errx(1, "%s", out.message);
 *	... procpool_map() and the like, with the option `pool` where others may have it
 *	procpool_pool_close(pp, pool, &out);
 *	procpool_pool_join(pp, pool, -1, &out);
 *
 * These are blocking calls, as those above.
 */

struct procpool_pool_options {
	size_t size; /* sizeof(struct procpool_pool_options), set by the initialiser */
	const char *const *modules; /* what to load, NULL-terminated; NULL: nothing */
	const char *const *runtime; /* program and arguments, NULL-terminated; NULL: the native
				       runtime, which needs modules */
	const char *main;        /* a script for the runtime to load, not the native one; or NULL */
	unsigned workers;        /* 0: as many as the daemon's configuration says */
	const char *initializer; /* what each worker runs first; or NULL */
	struct procpool_value initargs; /* an array of its arguments, or of size 0 */
	const char *cwd;                /* an absolute path; NULL: the daemon's directory */
	const char *const *env;         /* "NAME=value" to set, "NAME" to remove in the daemon's
					   environment, NULL-terminated; or NULL */
	struct procpool_value more;     /* a map of other keys of the method `open`, such as umask,
					   rlimits and max_tasks (PROTOCOL.md), or of size 0 */
};

/* clang-format off */
#define PROCPOOL_POOL_OPTIONS_INIT \
	{sizeof(struct procpool_pool_options), NULL, NULL, NULL, 0, NULL, {NULL, 0}, NULL, NULL, {NULL, 0}}
/* clang-format on */

/* Bytes for the name of a pool that was opened, with its NUL. */
#define PROCPOOL_POOL_NAME_SIZE 64

/*
 * Opens a pool: returns PROCPOOL_OK when its first worker is ready, with its name in ret_pool and
 * a map {pool, workers} in out->value. Else nothing of it remains:
 * PROCPOOL_ERR_INITIALIZER_FAILED (it cannot load, or its initializer failed: out->error has
 * traceback and the like), _DENIED, _BUSY (limits), _BAD_REQUEST, or those of the library.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_pool_open(struct procpool *pp,
						      const struct procpool_pool_options *options,
						      char ret_pool[PROCPOOL_POOL_NAME_SIZE],
						      struct procpool_outcome *out);

/* It takes no more calls (PROCPOOL_ERR_POOL_CLOSED), finishes those it has, and ends. May be
 * repeated. */
PROCPOOL_PUBLIC enum procpool_code procpool_pool_close(struct procpool *pp, const char *pool,
						       struct procpool_outcome *out);

/* Cancels all that it has (PROCPOOL_ERR_CANCELLED) and kills its workers. May be repeated. */
PROCPOOL_PUBLIC enum procpool_code procpool_pool_terminate(struct procpool *pp, const char *pool,
							   struct procpool_outcome *out);

/*
 * Waits until nothing of the pool is left; less than 0 seconds: without limit. May be repeated.
 * PROCPOOL_ERR_NOT_READY: not yet. PROCPOOL_ERR_BAD_REQUEST: it was neither closed nor terminated.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_pool_join(struct procpool *pp, const char *pool,
						      double seconds, struct procpool_outcome *out);

/* ---- Calls in flight ----
 *
 * These queue the request and return at once, also in callbacks. Requests are sent together: when
 * 64 KiB are queued, by procpool_flush(), and by every function that dispatches. Any number can
 * be in flight; what is queued takes memory, so bound it, see procpool_in_flight().
 *
 * PROCPOOL_OK: the call is in flight and will end exactly once. Else nothing was queued and no
 * callback will be called: PROCPOOL_ERR_NOT_SENT, _TOO_LARGE, _NO_MEMORY, _INVALID, _FORKED.
 *
 * With a callback the library owns the call, and *ret_call (which may be NULL) is good until the
 * callback returns, for procpool_call_cancel() only. Without, *ret_call is the caller's, who
 * looks with procpool_call_wait() or procpool_call_outcome() and ends with procpool_call_free().
 * With neither, nobody is told how it ended.
 */

/*
 * The call has ended. The outcome is borrowed for the time of the callback. It may make and
 * cancel calls and close the connection, and must not call what blocks or dispatches on the same
 * connection.
 */
typedef void (*procpool_call_fn)(struct procpool *pp, const struct procpool_outcome *outcome,
				 void *data);

PROCPOOL_PUBLIC enum procpool_code procpool_apply_async(struct procpool *pp, const char *func,
							struct procpool_value args,
							const struct procpool_options *options,
							procpool_call_fn callback, void *data,
							struct procpool_call **ret_call);

PROCPOOL_PUBLIC enum procpool_code procpool_map_async(struct procpool *pp, const char *func,
						      struct procpool_value items,
						      const struct procpool_options *options,
						      procpool_call_fn callback, void *data,
						      struct procpool_call **ret_call);

/* Any method of PROTOCOL.md, see procpool_request(). */
PROCPOOL_PUBLIC enum procpool_code procpool_request_async(struct procpool *pp, const char *method,
							  struct procpool_value params,
							  procpool_call_fn callback, void *data,
							  struct procpool_call **ret_call);

/*
 * Asks the daemon to cancel an apply or map in flight. Does not wait: the call then ends with
 * PROCPOOL_ERR_CANCELLED, or as if nothing was, where it had ended.
 * PROCPOOL_OK: asked, or the call had ended.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_call_cancel(struct procpool_call *call);

/*
 * Dispatches until the call has ended, at most that long; less than 0: without limit. The call's
 * code, or PROCPOOL_PENDING. Only for calls without a callback; not allowed in callbacks.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_call_wait(struct procpool_call *call, double seconds);

/* What the call without a callback ended with, NULL while it is in flight. Borrowed until
 * procpool_call_free(). */
PROCPOOL_PUBLIC const struct procpool_outcome *
procpool_call_outcome(const struct procpool_call *call);

/*
 * Ends the caller's use of a call without a callback. One still in flight goes on and its outcome
 * is dropped: cancel it first where it should not. NULL is allowed.
 */
PROCPOOL_PUBLIC void procpool_call_free(struct procpool_call *call);

/* ---- Pushes ---- */

enum procpool_push_kind {
	PROCPOOL_PUSH_OTHER,  /* one that this version of the library does not know */
	PROCPOOL_PUSH_RESULT, /* a job has ended: job, outcome, detail (a map: pool, function,
				 waited, ran) */
	PROCPOOL_PUSH_EVENT,  /* detail, a map whose `event` is "job", "worker", "pool" or "lost" */
	PROCPOOL_PUSH_ERROR,  /* the daemon is about to close the connection: outcome */
	PROCPOOL_PUSH_OUTPUT, /* a process of a pool that this connection has opened has printed
				 something: output */
};

/*
 * What was printed. Comes before the outcome of the task that printed it, and in the order in which
 * it was written, for each worker and stream.
 */
struct procpool_output {
	const char *pool; /* pool_size bytes, not terminated */
	size_t pool_size;
	uint64_t worker;  /* its number in the pool, from 1; 0: what loads the pool's modules */
	bool error;       /* on its standard error, else on its standard output */
	const void *data; /* size bytes as they were written: lines may come in parts */
	size_t size;
};

/* A message of the daemon that answers no request (PROTOCOL.md, "Pushes"). */
struct procpool_push {
	enum procpool_push_kind kind;
	struct procpool_value name;             /* a string */
	struct procpool_value params;           /* an array, all as it came */
	uint64_t job;                           /* or 0 */
	const struct procpool_outcome *outcome; /* or NULL */
	struct procpool_value detail;           /* or of size 0 */
	const struct procpool_output *output;   /* or NULL */
};

/* All is borrowed for the time of the callback. What it may do: see procpool_call_fn. */
typedef void (*procpool_push_fn)(struct procpool *pp, const struct procpool_push *push, void *data);

/* Sets the only receiver of this connection's pushes: the ends of submitted jobs and of streamed
 * maps, and what was subscribed to. NULL (as it is at first): they are dropped. */
PROCPOOL_PUBLIC void procpool_on_push(struct procpool *pp, procpool_push_fn callback, void *data);

/*
 * Asks for pushes of a job (job not 0), of a pool (pool not NULL), or of all that may be seen
 * (neither). A job that has ended already is pushed at once. Blocking.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_subscribe(struct procpool *pp, uint64_t job,
						      const char *pool,
						      struct procpool_outcome *out);
/* Ends that; out->value is a bool, whether there was such a subscription. Blocking. */
PROCPOOL_PUBLIC enum procpool_code procpool_unsubscribe(struct procpool *pp, uint64_t job,
							const char *pool,
							struct procpool_outcome *out);

/* ---- Dispatching ----
 *
 * Without a loop of one's own: procpool_poll() turn by turn, or procpool_run().
 *
 * In anyone's loop: before it sleeps, ask for procpool_events() and procpool_timeout_ms(); when
 * the descriptor has one of the events (also POLLHUP or POLLERR) or the time is over, call
 * procpool_dispatch(). Level-triggered. The events change with every call made, so either ask
 * before each sleep, or procpool_flush() after making calls and ask after that.
 */

/* The descriptor, owned by the connection. It stays open when the connection is lost and changes
 * only in procpool_reconnect(), so take it out of the loop before that and before closing. */
PROCPOOL_PUBLIC int procpool_fd(const struct procpool *pp);
/* POLLIN, and POLLOUT while something is to be sent; 0 while connecting and when lost. */
PROCPOOL_PUBLIC short procpool_events(const struct procpool *pp);
/* When procpool_dispatch() is due without any event: milliseconds, 0 at once, -1 never. */
PROCPOOL_PUBLIC int procpool_timeout_ms(const struct procpool *pp);

/*
 * Sends and receives what is possible without waiting, and calls the callbacks. PROCPOOL_OK; or,
 * when the connection is lost (all calls have been ended), PROCPOOL_ERR_LOST or what connecting
 * failed with; PROCPOOL_ERR_CLOSED: see procpool_close(). Not allowed in callbacks.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_dispatch(struct procpool *pp);

/* Sends what is possible without waiting, calls no callback. PROCPOOL_OK also if something remains:
 * procpool_events() says. A loss is reported and ends the calls at the next dispatch, which is due.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_flush(struct procpool *pp);

/*
 * One turn: waits for an event, at most that long (less than 0: without limit), and dispatches
 * it. As procpool_dispatch(); or PROCPOOL_PENDING, where the time went by without one; or
 * PROCPOOL_ERR_INTERRUPTED, where a signal ended the waiting.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_poll(struct procpool *pp, double seconds);

/* Turns until no call is in flight, at most that long. As procpool_poll(); signals do not end it.
 */
PROCPOOL_PUBLIC enum procpool_code procpool_run(struct procpool *pp, double seconds);

/* How many calls have not ended. */
PROCPOOL_PUBLIC size_t procpool_in_flight(const struct procpool *pp);

#ifdef __cplusplus
}
#endif
