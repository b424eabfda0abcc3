"""Each mutant switches one mechanism of the end off; its scenario must fail then.

`test_mutants` says which scenario. Imported by the scenarios' programs too, which apply
a mutant to themselves: none of the modules that are changed here is ever compiled.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
import traceback
from collections import defaultdict
from importlib import import_module
from types import SimpleNamespace
from weakref import WeakSet

# The status of a program to which a mutant could not be applied.
NOT_APPLIED = 99


def apply(name):
    """Switch a mechanism off in this process, a scenario's program."""
    try:
        MUTANTS[name]()
    except BaseException:  # noqa: BLE001 - that mutant would seem to be caught
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(NOT_APPLIED)


def nothing(*_, **__):
    return None


def replaced(owner, name, value=nothing):
    """Return what sets ``name`` of `owner`, a module or ``module:class``."""

    def replace():
        module, _, of_class = owner.partition(":")
        place = import_module(f"quiesce.{module}")
        if of_class:
            place = getattr(place, of_class)
        former = getattr(place, name)
        new = value(former) if getattr(value, "changes", False) else value
        setattr(place, name, new)

    return replace


def changes(function):
    """Mark what makes the new value from the former one."""
    function.changes = True
    return function


def strikes(signum):
    """End the process by a signal at once."""
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


@changes
def watched(count_down):
    """Return what has somebody wait for each task who may look how it ended."""

    def count(loop, futures):
        for future in futures:
            future.add_done_callback(nothing)
        return count_down(loop, futures)

    return count


@changes
def without_end(count_down):
    """Return what goes on counting when nobody waits for the last any longer."""

    def count(loop, futures):
        all_done = count_down(loop, futures).all_done
        return SimpleNamespace(all_done=all_done, cancel=nothing)

    return count


def without_phase(name):
    """Return what keeps one of the phases from doing anything."""

    def remove():
        phases = import_module("quiesce.shutdown.phases")
        numbers = [n for n, phase in enumerate(phases.PHASES) if phase.name == name]
        (number,) = numbers
        phases.PHASES[number] = phases.Phase(name, nothing)

    return remove


def without_rest():
    """Leave the other tasks, also where those that are left count as born late."""
    without_phase("rest")()
    replaced("shutdown.closing", "late_tasks", lambda _: set())()


def without_insisting(number):
    def remove():
        insistence = import_module("quiesce.shutdown.asking").INSISTENCE
        share, _ = insistence[number]
        insistence[number] = share, nothing

    return remove


def without_signal(signum):
    @changes
    def holds_others(former):
        def hold(self):
            self.handlers.pop(signum, None)
            former(self)

        return hold

    return replaced("shutdown.triggers:HeldSignals", "hold", holds_others)


@changes
def once(former):
    """Let only the first call of a method do something."""
    called = []

    def first_only(self, *arguments):
        if not called:
            called.append(True)
            former(self, *arguments)

    return first_only


@changes
def hurried_by_any_signal(former):
    def heard(self, signum, frame):
        if self.signum is not None:
            self.hurry()
        former(self, signum, frame)

    return heard


@changes
def without_a_last_resort(former):
    def hold(self, budget, *, on_deadline):
        former(self, budget, on_deadline=None)

    return hold


def says_forced_again(self, left):
    self.report.forced(left)


@changes
def without_steps(former):
    return lambda self: former(self)._replace(step=0)


class NeverHeld:
    """Stands in for a lock that everybody gets at once."""

    def acquire(self, **_):
        return True

    def release(self):
        pass


def hands_reports_over_at_any_time():
    report = import_module("quiesce.shutdown.report").Report
    report.writing = property(lambda _: NeverHeld(), nothing)


def shows_hurried_ends():
    for module in ("shutdown.triggers", "runner"):
        replaced(module, "keep_quiet")()


class Absent:
    """Stands in for a class: whatever one asks of it, nothing is done."""

    def __init__(self, *_, **__):
        pass

    def __getattr__(self, _):
        return nothing


def asks_children_of_groups():
    asking = import_module("quiesce.shutdown.asking")
    owner = asking.group_owner
    asking.group_owner = nothing
    asking.solitary = nobody
    # First, else it is up to chance whether they hear of it once or twice.
    asking.outermost_first = functools.partial(sorted, key=lambda task: not owner(task))


def nobody(_):
    return []


def says_not_why():
    asking = import_module("quiesce.shutdown.asking")
    asking.requesting = contextlib.nullcontext
    asking.solitary = nobody


def closes_before_exit_functions():
    run = import_module("quiesce.cli.run")
    run.end_open_loops = lambda error: run.end_loops(run.left_loops(set()), error)


def keeps_no_request(self, how, _):
    return import_module("quiesce.shutdown.asking").requesting(self.request(how))


def joins_for_ever(_):
    for thread in import_module("quiesce.shutdown.threads").threads_left():
        thread.join()


@changes
def repeatedly(former):
    """Let it be forgotten which children were asked."""

    def terminate(loop, _):
        former(loop, set())

    return terminate


def closes_nothing(sequence, _):
    sequence.loop.stop()


@changes
def without_hurry(former):
    def bound_exit(*arguments, hurried=False, **options):
        former(*arguments, **options)

    return bound_exit


def removed_handlers_leave_nothing():
    # Order matters: this module says at its import what is left.
    import_module("quiesce.shutdown.triggers")
    signals = import_module("quiesce.system.signals")
    signals.Usual.handler_of = staticmethod(signals.default_handler)


def without(module, name):
    """Return what lets a function do nothing also for whoever holds it already."""

    def empty():
        function = getattr(import_module(f"quiesce.{module}"), name)
        function.__code__ = (lambda: None).__code__

    return empty


def holds_tasks_weakly():
    pending = import_module("quiesce.core.pending")
    weakly = defaultdict(WeakSet)
    add, forget = pending.PendingTasks.add, pending.PendingTasks.forget

    def add_weakly(self, task):
        add(self, task)
        forget(self, task)
        weakly[id(self)].add(task)

    def all_of_them(self):
        return [task for task in weakly[id(self)] if not task.done()]

    pending.PendingTasks.add = add_weakly
    pending.PendingTasks.all = all_of_them


MUTANTS = {
    # triggers
    "SIGINT asks nobody": without_signal(signal.SIGINT),
    "SIGTERM asks nobody": without_signal(signal.SIGTERM),
    "SIGHUP asks nobody": without_signal(signal.SIGHUP),
    "ignored signals are held": replaced(
        "shutdown.triggers", "is_default", lambda *_: True
    ),
    "handlers stay": replaced("shutdown.triggers:HeldSignals", "release"),
    "two Ctrl-C are never one": replaced("shutdown.triggers", "SAME_CTRL_C", 0.0),
    "a later Ctrl-C is not heard": replaced("shutdown.triggers", "SAME_CTRL_C", 1e9),
    "any signal hurries": replaced(
        "shutdown.triggers:Triggers", "heard", hurried_by_any_signal
    ),
    "a removed handler leaves the default one": removed_handlers_leave_nothing,
    "a repeated signal is new to who called run": replaced("runner", "note_request"),
    "forked children answer signals for their parent": without(
        "shutdown.triggers", "release_in_child"
    ),
    "no signal waits for a fork": replaced("shutdown.forks:forks", "ending", set),
    "nothing of ours goes before a fork": replaced(
        "shutdown.watch_thread", "hold_at_forks"
    ),
    # phases
    "phase drain": without_phase("drain"),
    "phase main": without_phase("main"),
    "phase rest": without_rest,
    "phase close": without_phase("close"),
    "phase force": without_phase("force"),
    # inside them
    "tasks that nobody holds are lost": holds_tasks_weakly,
    "sockets go on listening": replaced("shutdown.connections", "stop_accepting"),
    "main is never alone": replaced("shutdown.phases", "MAIN_ALONE", 0.0),
    "main's time alone begins with the end": replaced(
        "shutdown.phases",
        "end_of_mains_time",
        lambda budget: budget.began_at + min(1.0, 0.25 * budget.grace),
    ),
    "a late main leaves the rest no time": replaced(
        "shutdown.phases",
        "end_of_mains_time",
        lambda budget: time.monotonic() + min(1.0, 0.25 * budget.grace),
    ),
    "main waits alone for connections": replaced(
        "shutdown.phases", "is_held_by_connections", lambda *_: False
    ),
    "everybody is asked once more": replaced(
        "shutdown.asking", "requests_of", lambda _: 0
    ),
    "only one round is asked": replaced("shutdown.asking:Asking", "next_round", once),
    "nobody insists at half": without_insisting(0),
    "nobody insists at three quarters": without_insisting(1),
    "shields protect nobody": replaced(
        "shutdown.asking", "is_shielded", lambda _: False
    ),
    "what cleanups wait for is not spared": replaced(
        "shutdown.asking:Asking", "spared", lambda *_: set()
    ),
    "only cleanups that we asked for are spared": replaced(
        "shutdown.asking:Asking", "was_told", lambda self, task: task in self.asked
    ),
    "cleanups are cut through who waits for them": replaced(
        "shutdown.asking", "waiting_for_cleanups", lambda _: set()
    ),
    "nobody is asked later": replaced("shutdown.asking:Asking", "ask_held_back"),
    "only what a cleanup awaits itself is spared": replaced(
        "shutdown.wait_graph:WaitGraph", "told_by", lambda *_: []
    ),
    "the parts of a shielded gathering are asked": replaced(
        "shutdown.wait_graph:WaitGraph", "shielded_gatherings", lambda _: []
    ),
    "the end of a shielded gathering is reported": replaced(
        "shutdown.asking", "say_nothing_if_cancelled"
    ),
    "who waits for a cleanup is asked again": replaced(
        "shutdown.wait_graph:WaitGraph", "waiting_for", lambda *_: set()
    ),
    "main is alone for over a second": replaced("shutdown.phases", "MAIN_ALONE", 1e9),
    "idle connections hold who waits for them": replaced(
        "shutdown.rounds", "closes_idle_connections"
    ),
    "all paths through gatherings are walked": replaced(
        "shutdown.cancelling", "takes_too_long", lambda _: False
    ),
    "children of a task group are asked too": asks_children_of_groups,
    "who closes a generator is asked too": replaced(
        "shutdown.asking", "is_cleanup", lambda _: False
    ),
    # what is no task
    "suspended generators stay": replaced("shutdown.closing", "close_generators"),
    "generators have all the time that is left": replaced(
        "shutdown.closing", "GENERATORS_SHARE", 1.0
    ),
    "generators have only their share": replaced(
        "shutdown.closing", "end_of_generators", lambda _: 0.0
    ),
    "generators that are cut are not named": replaced(
        "shutdown.sequence:Sequence", "note_unclosed"
    ),
    "late tasks are not ended": replaced("shutdown.closing", "end_late_tasks"),
    "what is born while the loop is closed is left": replaced(
        "shutdown.closing", "late_tasks", lambda _: set()
    ),
    "what tasks have held goes with the loop": replaced(
        "shutdown.sequence:Sequence", "forget_done"
    ),
    "nobody reads from children that end": replaced("shutdown.children", "drop_output"),
    "children that a thread of the loop joins are not asked": replaced(
        "shutdown.closing", "ask_awaited_children"
    ),
    "a gathering that was cancelled has failed": replaced(
        "shutdown.siblings", "is_failure", lambda error: error is not None
    ),
    # from the end of a run to the exit
    "nobody looks on while callers wait": replaced(
        "shutdown.callers:Callers", "look_on"
    ),
    "children that callers join are not asked": replaced(
        "shutdown.callers", "ASK_AT", float("inf")
    ),
    "an exit after the grace is not bounded": replaced(
        "shutdown.callers:Callers", "has_just_seen_it", lambda _: False
    ),
    "a later Ctrl-C in a caller is shown": replaced(
        "shutdown.process_wide", "keep_later_ctrl_c_quiet"
    ),
    "the loop's pool is not waited for": replaced("shutdown.closing", "end_pool"),
    "no thread of the loop is given up": replaced(
        "offload.threads:DefaultExecutor", "give_up"
    ),
    "unsent bytes are not waited for": replaced(
        "shutdown.closing", "has_ended", lambda _: True
    ),
    "goodbyes are waited for": replaced("shutdown.connections:Goodbyes", "end"),
    "connections are not aborted": replaced(
        "shutdown.connections", "abort_connections"
    ),
    "who is cut off is not named": replaced(
        "shutdown.sequence:Sequence", "note_cut_off"
    ),
    "children of the loop are not asked to end": replaced(
        "shutdown.children", "terminate"
    ),
    "children of the loop are asked once more": replaced(
        "shutdown.children", "terminate", repeatedly
    ),
    "children of the loop are only asked to end": replaced("shutdown.children", "kill"),
    "children that may stay are not let go": replaced("shutdown.children", "let_go"),
    # force
    "what is forced is not closed": replaced(
        "shutdown.forcing", "close_coroutines", closes_nothing
    ),
    "what refuses to be closed is dropped": replaced(
        "shutdown.forcing", "keep_for_ever"
    ),
    "what is given up stays pending": replaced("shutdown.forcing", "mark_cancelled"),
    "steps of what is given up are reported": replaced(
        "shutdown.forcing", "given_up", set()
    ),
    "nothing is reserved for it": replaced(
        "shutdown.budget:Budget", "reserve", property(lambda _: 0.0)
    ),
    "a forced end may pass for a Ctrl-C": replaced("runner:Runner", "_raise_forced"),
    "a forced end raises nothing": replaced("runner:Runner", "_say_how"),
    # what goes on
    "loops are closed before exit functions": closes_before_exit_functions,
    "only tasks are left on a loop": replaced(
        "cli.run", "has_left", lambda loop: bool(loop.pending_tasks)
    ),
    "nobody follows a signal out of a program": replaced(
        "shutdown.waiting_main:WaitingMain", "has_asked_for", lambda *_: False
    ),
    "an end that was caught bounds the exit": replaced(
        "shutdown.process_wide", "unbind"
    ),
    "every wait on the way out is bounded": replaced(
        "shutdown.waiting_main:WaitingMain", "may_be_for_a_loop", lambda *_: True
    ),
    "runs in all threads count as the pool's": replaced(
        "shutdown.runs_in_threads:Runs", "ask_those_of", lambda self, _: self.ask_all()
    ),
    "parts of young gatherings are lost": replaced(
        "shutdown.siblings:Siblings", "note_failed"
    ),
    # another Ctrl-C
    "a runner forgets the first one": replaced(
        "shutdown.triggers:Triggers", "keep_request"
    ),
    "the end cannot be hurried": replaced("shutdown.sequence:Sequence", "hurry"),
    "nothing is said of a hurried end": replaced("shutdown.report:Report", "hurried"),
    "the traceback of a hurried end is shown": shows_hurried_ends,
    "the exit does not know of the hurry": replaced(
        "shutdown.process_wide", "bound_exit", without_hurry
    ),
    "the exit cannot be hurried": replaced("shutdown.process_wide:ExitBound", "hurry"),
    "a later Ctrl-C at the exit is any": replaced(
        "shutdown.process_wide:LaterCtrlC", "heard", contextlib.nullcontext
    ),
    # what the program has said about it
    "no drain step runs": replaced("shutdown.draining", "has_steps", lambda _: False),
    "drain steps may use up the grace": replaced("shutdown.draining", "SHARE", 1.0),
    "a late drain step is not named": replaced("shutdown.draining", "name_late"),
    "no block is protected": replaced(
        "shutdown.protection:Protection", "refuses", lambda *_: False
    ),
    "a protected block outlasts the grace": replaced(
        "shutdown.protection:Protection", "end", lambda self: self.until
    ),
    # what is said of it
    "nothing is said of a slow end": replaced("shutdown.report:Report", "slow"),
    "nothing is said of a slow exit": replaced(
        "shutdown.exit_supervisor:Supervisor", "say_what_is_waited_for"
    ),
    "nothing is said of a forced end": replaced("shutdown.report:Report", "forced"),
    "no report is written": replaced("shutdown.report:Report", "write"),
    "the end does not say that it asks": says_not_why,
    "who concerns nobody else is not asked": replaced("shutdown.asking", "cancel_each"),
    "what asyncio's tasks were asked is forgotten": replaced(
        "shutdown.asking:Asking", "requesting", keeps_no_request
    ),
    "the last request is never swallowed": replaced(
        "shutdown.remains", "who_has_gone_on", lambda _: set()
    ),
    "what generators wait for is not told": replaced(
        "shutdown.survivors", "generator_waits_for", lambda *_: ""
    ),
    "what a pool's thread was handed is forgotten": replaced(
        "shutdown.survivors", "name_with_module", lambda _: ""
    ),
    "who made a task is forgotten": replaced("shutdown.survivors", "origin_of"),
    "failures are not reported soon": replaced(
        "core.unretrieved:Unretrieved", "note_lonely"
    ),
    "failures are not reported at the end": replaced(
        "core.unretrieved:Unretrieved", "report"
    ),
    "errors at the end show what ends the program": replaced(
        "shutdown.sequence", "running_while_handled", contextlib.nullcontext
    ),
    "what asyncio's gatherings drop is lost": replaced(
        "shutdown.siblings", "is_dropped", lambda *_: False
    ),
    "what a finalizer's report raises is lost": replaced(
        "core.failures", "raise_in_run"
    ),
    "what a signal overrules is lost": replaced("runner:Runner", "_report_overruled"),
    "what is left is named twice": replaced(
        "shutdown.sequence:Sequence", "say_forced", says_forced_again
    ),
    "children that go on are not reported": replaced(
        "shutdown.process_wide", "report_children"
    ),
    "our guardian is a child as others": replaced(
        "shutdown.processes", "is_guardian", lambda _: False
    ),
    "what holds the end outside of tasks is not named": replaced(
        "shutdown.forcing", "what_holds_the_end", lambda _: []
    ),
    "a report is handed over although another is": hands_reports_over_at_any_time,
    "the service manager is not told": replaced("shutdown.service_manager", "notify"),
    # beside the loop
    "runs in threads are not told": replaced(
        "shutdown.runs_in_threads:Runs", "tell_at_exit"
    ),
    "the exit is not bound": replaced("shutdown.process_wide", "bound_exit"),
    "nobody looks on at the exit": replaced(
        "shutdown.exit_supervisor:Supervisor", "start"
    ),
    "the status of an exit function's run is lost": replaced(
        "shutdown.late_status", "keep"
    ),
    "unread output is waited for": replaced(
        "shutdown.exit_supervisor", "is_unread", lambda _: False
    ),
    "runs in threads are told but not asked": replaced(
        "shutdown.runs_in_threads:Run", "ask"
    ),
    "blocked runs in threads are waited for": replaced(
        "shutdown.process_wide", "force_exit"
    ),
    "runs in threads cannot be hurried": replaced(
        "shutdown.runs_in_threads:Runs", "hurry"
    ),
    "any Ctrl-C cuts the wait for runs in threads": replaced(
        "shutdown.runs_in_threads",
        "ctrl_c_heard",
        lambda _: contextlib.nullcontext(SimpleNamespace(hurried=False)),
    ),
    "runs in the loop's pool are not asked": replaced(
        "shutdown.runs_in_threads:Runs", "ask_those_of"
    ),
    "threads are not waited for": replaced(
        "shutdown.process_wide:ExitBound", "wait_for_threads"
    ),
    "threads are waited for without limit": replaced(
        "shutdown.process_wide:ExitBound", "wait_for_threads", joins_for_ever
    ),
    "nothing is forced at the exit": replaced(
        "shutdown.process_wide:ExitBound", "force"
    ),
    "an exit is bound however late it begins": replaced(
        "shutdown.process_wide:ExitBound", "is_in_time", lambda _: True
    ),
    "nobody leaves unheard": replaced(
        "shutdown.exit_supervisor:Supervisor", "leave_unheard"
    ),
    "the death by Ctrl-C is not kept": replaced(
        "shutdown.process_wide", "keep_death_by_ctrl_c"
    ),
    "output without a reader is kept": replaced(
        "shutdown.process_wide", "flush_or_forget"
    ),
    "a thread that writes keeps the lock of its stream": replaced(
        "shutdown.process_wide", "put_aside_buffers", list
    ),
    "late calls of threads are shown": replaced("shutdown.late_calls", "keep_quiet"),
    "the traceback of a forced thread is shown": replaced(
        "shutdown.late_calls", "without_forced", lambda hook: hook
    ),
    "pools are not told": replaced("shutdown.process_wide", "tell_pools"),
    "children are only asked to end": replaced("shutdown.processes", "kill"),
    "children are not asked to end": replaced("shutdown.processes", "terminate"),
    "workers of pools are children as others": replaced(
        "shutdown.processes", "workers_of_pools", set
    ),
    "repeated signals end the exit": replaced(
        "shutdown.process_wide:ExitBound", "ignore_repetition"
    ),
    "no signal is heard between two runs": replaced("runner", "HeldSignals", Absent),
    # from outside the loop
    "nothing is named": replaced("shutdown.blocked:Announcer", "say"),
    "nothing is interrupted": replaced(
        "shutdown.interruption:Interruption", "interrupt"
    ),
    "who was interrupted is asked too": replaced("shutdown.interruption", "task_of"),
    "the deadline is not held": replaced("shutdown.watchdog:Watchdog", "hold"),
    "nobody ends the process at the deadline": replaced(
        "shutdown.watchdog:Watchdog", "hold", without_a_last_resort
    ),
    "signals are not kept from our own threads": replaced(
        "shutdown.own_thread", "OF_THE_PROGRAM", ()
    ),
    "only runners are watched": replaced(
        "shutdown.own_loops:OwnLoop", "look", lambda *_: 0.0
    ),
    "nobody else hears of a signal": replaced("shutdown.unheard:Unheard", "keep"),
    "who hears late has the whole grace": replaced(
        "shutdown.unheard:Unheard", "grace_left", lambda self: self.grace
    ),
    "errors of who was cancelled are kept": replaced(
        "shutdown.sequence", "count_down", watched
    ),
    "what is queued at last is dropped": replaced("shutdown.closing", "run_out"),
    "a main thread that waits has for ever": replaced(
        "shutdown.waiting_main:WaitingMain", "look_on"
    ),
    "a signal just before a wait is lost": replaced(
        "shutdown.waiting_main", "interrupt_wait"
    ),
    "the signal strikes before files are closed": replaced(
        "shutdown.late_status", "die_of", strikes
    ),
    "files are forgotten where the end is forced": replaced(
        "shutdown.process_wide", "flush_files"
    ),
    "a wait that was given up ends turns": replaced(
        "shutdown.sequence", "count_down", without_end
    ),
    "an interrupted run ends more than main": replaced(
        "shutdown.sequence:Sequence", "end_main_only", lambda self: self.advance("main")
    ),
    "threads of other pools have nothing to do": replaced(
        "offload.threads:DefaultExecutor", "busy", lambda _: []
    ),
    "callbacks in a row pass for one": replaced(
        "shutdown.blocked:Pulse", "note", without_steps
    ),
    "no deadline is held for own loops": replaced(
        "shutdown.own_ends", "Watchdog", Absent
    ),
    "nothing guards against C": replaced("shutdown.guard:Guard", "stand"),
    "the guard holds no deadline": replaced("shutdown.guard:Guard", "hold"),
    "the guard does not let go": replaced("shutdown.guard:Guard", "let_go"),
    "nothing guards the exit against C": replaced("shutdown.guard:Guard", "hold_exit"),
    "nothing guards own loops against C": replaced("shutdown.own_ends", "guard_run"),
    # quiesce run
    "open loops stay open": replaced("cli.run", "end_loops"),
    "what a runner ends is an open loop": replaced(
        "shutdown.watchdog", "is_watched", lambda _: False
    ),
    "loops of other threads go on": replaced("cli.run", "stop_loops", lambda _: set()),
    "a repeated signal is a new one": replaced(
        "shutdown.own_ends:Request", "begin", lambda *_: True
    ),
    "loops that nobody holds are lost": replaced(
        "shutdown.own_ends", "LEFT", WeakSet()
    ),
    "loops that threads run late go on": replaced(
        "shutdown.loops_in_threads:LoopsInThreads", "begin_run"
    ),
    "runs that threads begin late go on": replaced(
        "shutdown.runs_in_threads:Runs",
        "has_ended",
        property(lambda _: False, lambda *_: None),
    ),
    "Ctrl-C at the exit is Python's": replaced("cli.last_act:LastAct", "take_over"),
    "the exit is not bound where no run was ended": replaced("cli.run", "bound_exit"),
    "a signal at the exit is not heard": replaced("cli.last_act:LastAct", "end_exit"),
    "a signal that comes before a wait is not repeated": replaced(
        "cli.last_act", "Nudge", Absent
    ),
    "no death by the signal": replaced("cli.run:LastAct", "die_of"),
}
