# SPDX-License-Identifier: MIT
"""procpool.Client: the whole of PROTOCOL.md, for functions of any runtime.

    with procpool.Client() as client:
        client.apply("digest.sha256", "/etc/hostname")
        quick = client.options(pool="images", timeout=2.5, retries=1)
        quick.map("img.scale", names, width=640)

Values travel as plain MessagePack: None, bool, int, float, str, bytes, lists and dicts; tuples become lists. Programs
that call functions in Python have procpool.Pool for that, which keeps types.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Type, TypeVar, Union

from .codec import PICKLE, PLAIN, Codec, Packed, Pickled, concat
from .connection import Connection, Lane, Listener, message, pack
from .context import current_job
from .errors import NoSuchJob, NoSuchPool, NotReady, from_wire
from .pending import Job as Pending
from .pending import as_exception

_OF_ALL = frozenset({"pool", "priority", "expires", "parent", "retries", "timeout", "pickle"})
_OF_ASYNC = frozenset({"detach"})
_OF_MAPS = frozenset({"chunksize", "star", "errors"})
_OF = {
    "apply": _OF_ALL,
    "apply_async": _OF_ALL | _OF_ASYNC,
    "map": _OF_ALL | _OF_MAPS,
    "map_async": _OF_ALL | _OF_ASYNC | _OF_MAPS,
}
_JOBS_PAGE = 1000  # jobs asked for at a time

Self = TypeVar("Self", bound="Client")


class _Shared:
    """What a Client and all that `options` made of it have together."""

    def __init__(self, connection: Connection, trust: bool) -> None:
        self.connection = connection
        self.loads: Callable[[Any], Any] = PICKLE.restore if trust else PLAIN.restore
        self.trust = trust
        self.lanes: Dict[Any, Lane] = {}  # by the name of the pool
        self.subscriptions: List[Subscription] = []

    def value(self, value: Any) -> Any:
        """A result: the pickle that it may be is unpickled, or refused."""
        return self.loads(value) if type(value) is Pickled else value

    def values(self, values: Any, collect: bool) -> Any:
        """The results of a map; with `collect`, pairs [error, value], exceptions in the place of what failed."""
        if collect and isinstance(values, list):
            return [self.outcome(each) for each in values]
        if isinstance(values, list) and Pickled in set(map(type, values)):
            return [self.value(each) for each in values]
        return values

    def outcome(self, pair: Any) -> Any:
        """A pair [error, value]: the value, or the exception."""
        error, value = pair
        return self.value(value) if error is None else self.exception(error)

    def exception(self, error: Any) -> Exception:
        return as_exception(error, self.loads if self.trust else None)


class Client:
    """A connection to a daemon. Any number of threads may use it; a process that is forked makes its own.

        client = procpool.Client()                      # the daemon that PROTOCOL.md's rules find
        client = procpool.Client("/run/procpool/procpoold.sock", name="report")

    address  the socket's path; None: $PROCPOOL_SOCKET, $XDG_RUNTIME_DIR/procpool/procpoold.sock,
             /run/procpool/procpoold.sock
    trust    True: pickles that come as results are unpickled. That lets whoever wrote them run any code here.
    name     what `jobs` and the daemon's log show of this client

    OSError where nobody listens. Every method raises the daemon's error as a class of procpool.errors, and
    ConnectionLost when the connection has ended.
    """

    def __init__(self, address: Optional[str] = None, *, trust: bool = False, name: str = "python") -> None:
        self._shared = _Shared(Connection.connect(address, name), trust)
        self._owner: Optional[Client] = None  # whose connection it is, of a view
        self._options: Dict[str, Any] = {}
        self._codec: Codec = PLAIN
        self._packed: Dict[Tuple[Any, ...], bytes] = {}  # options of a method, but for what differs from call to call

    def options(self: Self, **options: Any) -> Self:
        """The same client, with these options for its calls; those of `self` stay unless named again.

        pool       the pool's name; else the only one that has the function
        timeout    seconds that a task may run
        expires    seconds that it may wait before it begins
        priority   from -2 to 2
        retries    how often what failed is run again
        parent     the job that calls; in a worker its own by itself
        pickle     True: arguments that MessagePack lacks are pickled (the pool must take pickles); results need `trust`
        detach     True: jobs outlive this connection (apply_async, map_async)
        chunksize, star, errors   of maps: elements handed out at a time; each is an iterable of arguments; "collect":
                   all run, and exceptions stand in the place of what failed

            slow = client.options(timeout=60, pool="reports")
            slow.apply("report.build", 2024)

        TypeError for an option that there is not; the daemon judges the values. Closing it closes nothing.
        """
        unknown = options.keys() - _OF["map_async"]
        if unknown:
            raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
        view = type(self).__new__(type(self))
        view._shared = self._shared
        view._owner = self._owner or self
        view._options = {**self._options, **options}
        view._codec = PICKLE if view._options.get("pickle") else PLAIN
        view._packed = {}
        return view

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self._options.items())
        return f"<procpool.Client at {self.address}, {'closed' if self.closed else f'session {self.session}'}{options}>"

    # The connection

    @property
    def address(self) -> str:
        """The socket's path."""
        return self._shared.connection.address

    @property
    def session(self) -> int:
        """The daemon's number of this connection; pools that it opens are named after it."""
        return int(self._shared.connection.hello["session"])

    @property
    def server_version(self) -> str:
        """The daemon's version."""
        return str(self._shared.connection.hello["version"])

    @property
    def limits(self) -> Dict[str, Any]:
        """The daemon's limits, as PROTOCOL.md's table has them."""
        return dict(self._shared.connection.hello["limits"])

    @property
    def rights(self) -> List[str]:
        """What this user may do: those of "call", "observe" and "administer" that it has in some pool, or had when this
        connection was made. pools() tells of each pool."""
        return list(self._shared.connection.hello.get("rights", ()))

    @property
    def closed(self) -> bool:
        return self._shared.connection.closed

    def close(self) -> None:
        """Ends the connection: jobs that are not detached are cancelled, own pools ended. May be repeated."""
        if self._owner is None:
            self._shared.connection.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_owner", self) is None:
            self._shared.connection.close()

    def __reduce__(self) -> Any:
        raise NotImplementedError("a Client cannot be sent to another process: that makes its own")

    def request(self, method: str, *params: Any) -> Any:
        """Any method of PROTOCOL.md with its params as they are; what it answers, pickles as procpool.codec.Pickled.

        client.request("jobs", {"limit": 5})
        """
        return self._shared.connection.request(method, *params)

    def ping(self) -> str:
        """"pong"."""
        return str(self.request("ping"))

    # Calls

    def apply(self, function: str, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function and returns its value.

        client.apply("digest.sha256", path)
        """
        shared = self._shared
        call = self._call("apply", function, self._codec.pack_array(args), kwargs)
        return shared.value(shared.connection.call(call, shared.loads if shared.trust else None))

    def apply_async(self, function: str, /, *args: Any, **kwargs: Any) -> Job:
        """Calls a function without waiting for it.

        job = client.apply_async("digest.sha256", path)
        job.get(timeout=5)
        """
        return self._submit("apply_async", function, self._codec.pack_array(args), kwargs)

    def map(self, function: str, items: Iterable[Any], /, **kwargs: Any) -> List[Any]:
        """Calls a function for each item; the list of its values. The first that fails ends it (see the option errors).

        client.map("img.scale", names, width=640)
        """
        shared = self._shared
        call = self._call("map", function, self._items(items), kwargs)
        values = shared.connection.call(call, shared.loads if shared.trust else None)
        return list(shared.values(values, self._options.get("errors") == "collect"))

    def map_async(self, function: str, items: Iterable[Any], /, **kwargs: Any) -> Job:
        """The same without waiting for it.

        job = client.map_async("img.scale", names)
        job.get()
        """
        return self._submit("map_async", function, self._items(items), kwargs)

    def imap(self, function: str, items: Iterable[Any], /, **kwargs: Any) -> Iterator[Any]:
        """The values one by one, in the order of the items, as soon as each and those before it are there.

        for small in client.imap("img.scale", names): ...

        Where an item fails, that is raised, and ends it (with errors="collect" it stands in its place instead). Left
        before its end, the rest is cancelled.
        """
        return _ordered(self._stream(function, items, kwargs))

    def imap_unordered(self, function: str, items: Iterable[Any], /, **kwargs: Any) -> Iterator[Any]:
        """As imap, in the order in which they are ready.

        for small in client.imap_unordered("img.scale", names): ...
        """
        return (value for _, value in self._stream(function, items, kwargs))

    def _items(self, items: Iterable[Any]) -> Packed:
        items = items if isinstance(items, (list, tuple)) else list(items)
        return self._codec.pack_arrays(items) if self._options.get("star") else self._codec.pack_array(items)

    def _call(self, method: str, function: str, values: Packed, kwargs: Dict[str, Any], stream: bool = False) -> Packed:
        """The request."""
        parent = current_job() if "parent" not in self._options else None
        options = self._packed.get((method, stream, parent))
        if options is None or kwargs:
            named = {name: value for name, value in self._options.items() if name in _OF[method]}
            if parent is not None:
                named["parent"] = parent
            if stream:
                named["stream"] = True
            if named.get("pickle") is False:
                del named["pickle"]
            if kwargs:
                count = b"%c" % (0x80 | len(named) + 1)
                tail = concat(count + pack(named)[1:] + pack("kwargs"), self._codec.pack_map(kwargs))
                return message(method, pack(function), values, tail)
            options = pack(named) if named else b""
            if parent is None:
                self._packed[method, stream, None] = options
        if options:
            return message(method, pack(function), values, options)
        return message(method, pack(function), values)

    def _lane(self) -> Lane:
        name = self._options.get("pool")
        lanes = self._shared.lanes
        return lanes.get(name) or lanes.setdefault(name, self._shared.connection.lane())

    def _submit(self, method: str, function: str, values: Packed, kwargs: Dict[str, Any], stream: bool = False) -> Job:
        call = self._call(method, function, values, kwargs, stream)
        collect = method == "map_async" and self._options.get("errors") == "collect"
        return Job(self._shared, self._shared.connection.submit_job(call, self._lane()), collect)

    def _stream(self, function: str, items: Iterable[Any], kwargs: Dict[str, Any]) -> Iterator[Tuple[int, Any]]:
        job = self._submit("map_async", function, self._items(items), kwargs, stream=True)
        return _outcomes(self._shared, job._job, self._options.get("errors") == "collect")

    # Jobs

    def wait(self, job: int, seconds: Optional[float] = None) -> Any:
        """The value of a job, also of an earlier connection's; raises its error, or NotReady after so many seconds.

        client.wait(71001, 2.5)
        """
        shared = self._shared
        call = message("wait", pack(job), *([] if seconds is None else [pack(seconds)]))
        return shared.values(shared.value(shared.connection.call(call, shared.loads if shared.trust else None)), False)

    def result(self, job: int) -> Any:
        """As wait() with 0 seconds."""
        return self.wait(job, 0)

    def cancel(self, job: int) -> Dict[str, Any]:
        """Ends a job: `{job, cancelled, state, begun, running}`.

        client.cancel(71001)["cancelled"]
        """
        return dict(self.request("cancel", job))

    def job(self, job: int) -> Dict[str, Any]:
        """What is known of a job, a map as PROTOCOL.md has it.

        client.job(71001)["state"]
        """
        return dict(self.request("job", job))

    def jobs(self, *, state: Optional[str] = None, pool: Optional[str] = None,
             after: int = 0) -> Iterator[Dict[str, Any]]:  # fmt: skip
        """All jobs that this user may see, by ascending id: maps as job() returns.

        [job["job"] for job in client.jobs(state="running")]

        state, pool  only those in this state, of this pool
        after        only those with a higher id
        """
        page = min(_JOBS_PAGE, int(self.limits.get("jobs_page", _JOBS_PAGE)))
        wanted = {name: value for name, value in (("state", state), ("pool", pool)) if value is not None}
        while True:
            rows = self.request("jobs", {"limit": page, "after": after, **wanted})
            yield from rows
            if len(rows) < page:
                return
            after = rows[-1]["job"]

    def subscribe(self, *, job: Optional[int] = None, pool: Optional[str] = None) -> Subscription:
        """Events and results as they happen: of a job, of a pool, or without either of all that this user may see.

            with client.subscribe(pool="images") as events:
                for event in events:
                    print(event["event"], event)

        See Subscription.
        """
        if job is not None and pool is not None:
            raise TypeError("subscribe to a job or to a pool, not both")
        what: Dict[str, Any] = {"job": job} if job is not None else {"pool": pool} if pool is not None else {}
        return Subscription(self._shared, what)

    # Observing

    def pools(self) -> List[Dict[str, Any]]:
        """All pools in which this user has some right, a map each; `rights` says which.

        {pool["name"]: pool["state"] for pool in client.pools()}
        """
        return list(self.request("pools"))

    def workers(self) -> List[Dict[str, Any]]:
        """All workers of the pools that may be observed, a map each."""
        return list(self.request("workers"))

    def functions(self, pool: Optional[str] = None) -> List[Dict[str, Any]]:
        """The functions of these pools, or of one, maps {name, pool, doc}, by name.

        [function["name"] for function in client.functions("images")]
        """
        return list(self.request("functions", *([] if pool is None else [{"pool": pool}])))

    def stats(self) -> Dict[str, Any]:
        """Counters and histograms of the daemon."""
        return dict(self.request("stats"))

    # Pools of one's own

    def open_pool(self, **keys: Any) -> Dict[str, Any]:
        """Starts a pool that goes with this connection; `{pool, workers}` when its first worker is ready.

        pool = client.open_pool(modules=["demo"], workers=2)["pool"]
        client.options(pool=pool).apply("demo.inc", 41)

        keys  as PROTOCOL.md lists them: modules, runtime, initializer, initargs, workers, env, cwd, …
        """
        return dict(self.request("open", {name: value for name, value in keys.items() if value is not None}))

    def close_pool(self, pool: str) -> None:
        """It takes no more jobs, finishes those that it has, and ends."""
        self.request("close", pool)

    def join_pool(self, pool: str, seconds: Optional[float] = None) -> None:
        """Waits until nothing of a pool that was closed or terminated is left; NotReady after so many seconds."""
        self.request("join", pool, *([] if seconds is None else [seconds]))

    def terminate_pool(self, pool: str) -> None:
        """Ends it at once: its jobs are cancelled, its workers killed."""
        self.request("terminate", pool)

    # Administering: for root and the daemon's own user

    def recycle(self, pool: str) -> int:
        """Fresh workers with fresh code, without a gap; the generation of the code, when all are ready."""
        return int(self.request("recycle", pool)["generation"])

    def reload(self) -> Dict[str, List[str]]:
        """The daemon reads its configuration again: the names of the pools that were `changed`, `added` and `removed`,
        and of the settings that need a `restart`, when all of it is in force. BadRequest where it is refused, and
        InitializerFailed where the code of a pool does not load: that goes on with the old code."""
        return dict(self.request("reload"))

    def scale(self, pool: str, workers: Optional[int] = None, *, min: Optional[int] = None,
              max: Optional[int] = None) -> Tuple[int, int]:  # fmt: skip
        """From now on a pool has so many workers, or from min to max, as needed; both as they are then.

        client.scale("images", 4)
        client.scale("images", max=8)
        """
        if (workers is None) == (min is None and max is None):
            raise TypeError("a number of workers, or min and max")
        count: Union[int, Dict[str, int], None] = workers
        if count is None:
            count = {name: value for name, value in (("min", min), ("max", max)) if value is not None}
        answer = self.request("scale", pool, count)
        return int(answer["min"]), int(answer["max"])

    def pause(self, pool: str) -> None:
        """It begins nothing more; jobs are accepted and wait."""
        self.request("pause", pool)

    def resume(self, pool: str) -> None:
        """Undoes pause() and drain()."""
        self.request("resume", pool)

    def drain(self, pool: str, seconds: Optional[float] = None) -> None:
        """It takes no more jobs; waits until it has finished those that it has. NotReady after so many seconds."""
        self.request("drain", pool, *([] if seconds is None else [seconds]))

    def kill(self, pid: int) -> Dict[str, Any]:
        """Kills a worker: `{pool, worker, pid}`. Only what runs in it fails."""
        return dict(self.request("kill", pid))


class Job:
    """What apply_async and map_async return. Any thread may use it.

    job = client.apply_async("demo.sleep", 5)
    job.id                    # also another process, of the same user, may wait(id) for it, if it is detached
    job.wait(0.1), job.ready()
    job.get(timeout=10)       # the value; raises its error, NotReady in time
    job.cancel()
    """

    def __init__(self, shared: _Shared, job: Pending, collect: bool) -> None:
        self._shared = shared
        self._job = job
        self._collect = collect

    def __repr__(self) -> str:
        state = "under way" if not self._job.ended else "failed" if self._job.error is not None else "done"
        return f"<procpool job {'' if self._job.job is None else self._job.job}, {state}>"

    @property
    def id(self) -> int:
        """The job's id. Waits for the daemon to accept the job; raises the error if it does not."""
        return self._job.id()

    @property
    def meta(self) -> Optional[Dict[str, Any]]:
        """When it has ended: {pool, function, waited, ran}, seconds."""
        return self._job.meta

    def ready(self) -> bool:
        """Whether it has ended. Does not wait."""
        return self._job.wait(0)

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Waits until it has ended, at most so many seconds; whether it has."""
        return self._job.wait(timeout)

    def get(self, timeout: Optional[float] = None) -> Any:
        """Its value, or a map's list of them. Raises its error, or NotReady (a TimeoutError) after so many seconds."""
        if not self._job.wait(timeout):
            raise NotReady(f"the job has not ended after {timeout} s")
        if self._job.error is not None:
            raise self._shared.exception(self._job.error)
        return self._shared.values(self._shared.value(self._job.value), self._collect)

    def cancel(self) -> Dict[str, Any]:
        """Ends it: `{job, cancelled, state, begun, running}`; {"cancelled": False} where it had ended."""
        return self._job.cancel()


class Subscription:
    """An iterator of what happens, as maps with the key `event`; made by Client.subscribe.

    Events are as PROTOCOL.md has them: "job", "worker", "pool", "progress", and "lost" where some were left out because
    they were not read in time. The result of a job is the map {event: "result", job, error, value, meta}: error is an
    exception or None. It ends when it is closed, or the connection ends, or with the result of the job asked for.
    """

    def __init__(self, shared: _Shared, what: Dict[str, Any]) -> None:
        self._shared = shared
        self._what = what
        self._ended = False
        self._listener: Listener = shared.connection.listen()
        shared.subscriptions.append(self)
        try:
            shared.connection.request("subscribe", what)
        except BaseException:
            shared.subscriptions.remove(self)
            self._listener.close()
            raise

    def __iter__(self) -> Subscription:
        return self

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Any) -> None:
        self.close()

    def __next__(self) -> Dict[str, Any]:
        return self.next()

    def next(self, timeout: Optional[float] = None) -> Dict[str, Any]:
        """The next event; StopIteration at the end, NotReady (a TimeoutError) after so many seconds."""
        while not self._ended:
            push = self._listener.next(timeout)
            if push is None:
                break
            event = self._event(*push)
            if event is not None:
                return event
        raise StopIteration

    def _event(self, name: str, params: List[Any]) -> Optional[Dict[str, Any]]:
        """What it says, if that was asked for: the connection's other subscriptions bring theirs along."""
        wanted = self._what
        if name == "result":
            job, error, value, meta = params
            pool = meta.get("pool") if isinstance(meta, dict) else None
            if wanted.get("job", job) != job or wanted.get("pool", pool) != pool:
                return None
            self._ended = "job" in wanted
            return {"event": "result", "job": job, "error": None if error is None else self._shared.exception(error),
                    "value": value, "meta": meta}  # fmt: skip
        event = params[0] if params else None
        if not isinstance(event, dict):
            return None
        if event.get("event") != "lost" and any(event.get(key) != value for key, value in wanted.items()):
            return None
        return event

    def close(self) -> None:
        """Ends it. May be repeated."""
        shared = self._shared
        if self not in shared.subscriptions:
            return
        shared.subscriptions.remove(self)
        self._listener.close()
        if not shared.connection.closed and not any(each._what == self._what for each in shared.subscriptions):
            try:
                shared.connection.request("unsubscribe", self._what)
            except (NoSuchJob, NoSuchPool):
                pass


def _outcomes(shared: _Shared, job: Pending, collect: bool) -> Iterator[Tuple[int, Any]]:
    """The elements of a streamed map, (index, value), as they come."""
    try:
        while True:
            run = job.next_run()
            if run is None:
                break
            first, outcomes, _ = run
            for index, (error, value) in enumerate(outcomes, first):
                if error is None:
                    yield index, shared.value(value)
                elif collect:
                    yield index, from_wire(error, shared.loads if shared.trust else None)
        if job.error is not None:
            raise shared.exception(job.error)
    finally:
        if not job.came:
            job.cancel()


def _ordered(outcomes: Iterator[Tuple[int, Any]]) -> Iterator[Any]:
    """Those values in the order of the index. What raises does so when all before it have been given."""
    waiting: Dict[int, Any] = {}
    following = 0
    try:
        for index, value in outcomes:
            waiting[index] = value
            while following in waiting:
                yield waiting.pop(following)
                following += 1
    finally:
        close = getattr(outcomes, "close", None)
        if close is not None:
            close()
