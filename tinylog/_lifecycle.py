"""What befalls the process: it forks, and it ends, in one way or another. The hooks into the interpreter are here.

- **Fork.** In the child every processor starts over with new locks, since any of the old ones may have been held by a
  thread that the child does not have. No lock is taken before the fork: that could wait for a request, and whatever
  the child inherits is replaced in any case.
- **End.** One exit function, in which all processors share one deadline. Registered when tinylog is imported, which is
  early: exit functions run in reverse order, so that what the application logs in its own ones is still delivered. No
  thread is started, as Python 3.12 forbids it by then.
- **Children that end by `os._exit`**, without exit functions: `multiprocessing` and `billiard` run finalizers first,
  Celery sends a signal. Whatever of these is loaded is used; nothing is imported for it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from tinylog._guard import forget_other_threads

__all__ = ["Living", "begin", "ending", "living", "notice_fork", "outlive_threads", "settle_all", "watch"]

_FORKING_LIBRARIES = ("multiprocessing", "billiard")
_LAST = -1000  # priority of a finalizer: after those that the application registers


class Living(Protocol):
    """What these events happen to: a processor."""

    @property
    def shutdown_timeout(self) -> float:
        """How long the end may take, in seconds."""

    def now(self) -> float:
        """Read its monotonic clock, in seconds."""

    def settle(self, timeout: float) -> None:
        """Deliver what is queued, spill or count the rest, and go on."""

    def at_exit(self, timeout: float) -> None:
        """Settle for good: the interpreter is about to end."""

    def close(self) -> None:
        """Refuse rows, and let the threads end."""

    def after_fork_in_child(self) -> None:
        """Start over."""


class _Process:
    """This process, as far as the hooks know it. Children inherit a copy."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.begun = 0  # the process in which rows have been taken
        self.ending = False
        self.alone = False  # all other threads are frozen
        self.forking_thread = 0  # of the parent, as the kernel numbers it
        self.off_thread = False  # whether this process is the fork of a thread other than the main one
        self.watched: set[str] = set()
        self.noticing = threading.Lock()


_live: weakref.WeakSet[Living] = weakref.WeakSet()
_process = _Process()


def watch(processor: Living) -> None:
    """Let a processor know of forks and of the end, as long as somebody else holds it."""
    _live.add(processor)


def living() -> list[Living]:
    """All processors that somebody holds."""
    return list(_live)


def ending() -> bool:
    """Whether exit functions are running, or have run."""
    return _process.ending


# -- the end ---------------------------------------------------------------------------------------------------------


def settle_all(*_: Any, **__: Any) -> None:
    """Deliver, spill or count what all processors hold, within the longest of their times. They go on."""
    _all_under_one_deadline(lambda processor, seconds: processor.settle(seconds))


def _at_exit() -> None:
    _process.ending = True
    _all_under_one_deadline(lambda processor, seconds: processor.at_exit(seconds))


def _all_under_one_deadline(act: Callable[[Living, float], None]) -> None:
    notice_fork()
    processors = list(_live)
    began = [processor.now() for processor in processors]  # each by its own clock
    longest = max((processor.shutdown_timeout for processor in processors), default=0.0)
    interrupt = None
    for processor, start in zip(processors, began, strict=True):
        left = longest - (processor.now() - start)
        try:
            act(processor, 0.0 if interrupt else max(0.0, min(processor.shutdown_timeout, left)))
        except BaseException as error:  # Ctrl-C: no more time, but every row must be spilled or counted
            interrupt = error
    if interrupt:
        raise interrupt


def _end_with_main_thread() -> None:
    """Close everything when the thread returns that was forked off: then the process ends with its last thread."""
    threading.main_thread().join()
    _at_exit()
    for processor in list(_live):
        processor.close()


def outlive_threads() -> bool:
    """Tell whether all other threads are frozen for ever, perhaps with locks of ours held; then replace the locks.

    That is so once exit functions have run: a row comes from a `__del__` that runs as modules are torn down.
    """
    if sys.is_finalizing() and not _process.alone:
        _process.alone = True
        for processor in list(_live):
            with contextlib.suppress(Exception):  # modules are half gone
                processor.after_fork_in_child()
                processor.at_exit(0.0)
    return _process.alone


# -- forks -----------------------------------------------------------------------------------------------------------


def notice_fork() -> None:
    """Start over if this is the child of a fork that Python was not told of, as uWSGI's are by default."""
    if _process.pid != os.getpid():
        with _process.noticing:
            if _process.pid != os.getpid():
                _start_over()


def _before_fork() -> None:
    _process.forking_thread = threading.get_native_id()


def _after_fork_in_child() -> None:
    _process.noticing = threading.Lock()
    # Linux numbers the main thread as the process; what is gained by this is not worth more trouble elsewhere.
    _process.off_thread = sys.platform == "linux" and _process.forking_thread != _process.pid
    _start_over()


def _start_over() -> None:
    _process.ending = _process.alone = False
    forget_other_threads()
    for processor in list(_live):
        processor.after_fork_in_child()
    _process.pid = os.getpid()  # last: until then other threads of the child wait


def begin() -> None:
    """Prepare for this process's end, when it takes its first row."""
    if _process.begun == _process.pid:
        return
    _process.begun = _process.pid
    if _process.off_thread:
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=_end_with_main_thread, name="tinylog-end", daemon=True).start()
    _keep_a_thread_of_gevent()
    for library in _FORKING_LIBRARIES:
        util, process = sys.modules.get(f"{library}.util"), sys.modules.get(f"{library}.process")
        if hasattr(util, "register_after_fork") and hasattr(process, "current_process"):
            _watch_library(library, util, process)
    signals = sys.modules.get("celery.signals")
    if hasattr(signals, "worker_process_shutdown"):  # its workers end by `os._exit` without running finalizers
        signals.worker_process_shutdown.connect(settle_all, weak=False, dispatch_uid="tinylog")  # type: ignore[union-attr]


def _keep_a_thread_of_gevent() -> None:
    """Have gevent start a thread of its pool, which it keeps and resolves names with.

    Else the first request of a process that is ending would need one, and Python 3.12 and later start none by then.
    """
    gevent, monkey = sys.modules.get("gevent"), sys.modules.get("gevent.monkey")
    with contextlib.suppress(Exception):  # half-imported, or out of threads
        if gevent is not None and monkey is not None and monkey.is_module_patched("socket"):
            gevent.get_hub().threadpool.spawn(int)


def _watch_library(library: str, util: Any, process: Any) -> None:
    """Have finalizers run in children: in this one if it is one, and in those to come.

    A child forgets its parent's finalizers when it starts, so that each has to register its own.
    """

    def register(_: object = None) -> None:
        util.Finalize(None, settle_all, exitpriority=_LAST)

    if library not in _process.watched:
        _process.watched.add(library)
        util.register_after_fork(_process, register)
    if getattr(process.current_process(), "_parent_pid", None) is not None:
        register()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
