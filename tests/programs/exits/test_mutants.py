"""Each mechanism of the end is needed: without it, its scenario fails"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import traceback
from importlib import import_module

import pytest

import quiesce
from tests.programs.exits.mutants import MUTANTS, once
from tests.programs.exits.scenario import Scenario

pytestmark = [pytest.mark.whole, pytest.mark.ways("quiesce.run")]

# Seconds beyond the grace until a mutant hangs.
PATIENCE = 4.0
# How it shows on stderr that a mutant breaks what it should switch off: an error in it,
# or in what was handed another thing than it asked for. What is deleted as the
# interpreter goes may find nothing there in any case.
BROKEN = re.compile(
    r'^ *File ".*/mutants\.py", line'
    r"|(?<!in __del__\n)^(Attribute|Name|Type|UnboundLocal)Error\b",
    re.MULTILINE,
)

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
# The file and the name of a scenario without "test_", and its parameters.
FAILS = {
    "SIGINT asks nobody": (
        "repeated_signals",
        "two_interrupts_that_are_heard_shortly_after_another_are_one",
        {},
    ),
    "SIGTERM asks nobody": (
        "triggers",
        "a_signal_ends_main_and_then_the_rest",
        {"signum": TERM},
    ),
    "SIGHUP asks nobody": (
        "triggers",
        "a_hang_up_of_the_terminal_ends_the_program_as_sighup_does",
        {},
    ),
    "ignored signals are held": (
        "handlers",
        "a_signal_that_was_ignored_at_start_stays_ignored",
        {"ignored": HUP, "other": INT},
    ),
    "a removed handler leaves the default one": (
        "handlers",
        "a_signal_whose_handler_the_program_has_removed_ends_it",
        {"signum": TERM},
    ),
    "a repeated signal is new to who called run": (
        "repeated_signals",
        "a_repeated_termination_does_not_cut_what_the_caller_cleans_up",
        {"call": "a run"},
    ),
    "a forced end may pass for a Ctrl-C": (
        "grace",
        "a_forced_end_tells_it_where_the_program_catches_the_ctrl_c",
        {},
    ),
    "the exit does not know of the hurry": (
        "repeated_signals",
        "what_is_named_at_a_later_ctrl_c_is_named_in_a_line_each",
        {"first": TERM},
    ),
    "handlers stay": (
        "handlers",
        "the_handlers_are_restored_afterwards",
        {"end": "a return"},
    ),
    "two Ctrl-C are never one": (
        "repeated_signals",
        "two_interrupts_that_are_heard_shortly_after_another_are_one",
        {},
    ),
    "a later Ctrl-C is not heard": (
        "repeated_signals",
        "a_later_ctrl_c_means_now",
        {"first": INT},
    ),
    "any signal hurries": (
        "repeated_signals",
        "a_repeated_termination_does_not_shorten_a_cleanup",
        {"first": TERM, "again": TERM},
    ),
    "forked children answer signals for their parent": (
        "where_it_runs",
        "a_signal_to_a_forked_child_leaves_its_parent_running",
        {"signum": TERM},
    ),
    "no signal waits for a fork": (
        "forks",
        "a_child_ends_that_is_asked_to_as_soon_as_it_is_forked",
        {"signum": TERM},
    ),
    "nothing of ours goes before a fork": (
        "where_it_runs",
        "a_signal_to_a_forked_child_leaves_its_parent_running",
        {"signum": TERM},
    ),
    "phase drain": ("main_first", "listening_sockets_stop_first", {}),
    "phase main": (
        "main_first",
        "mains_cleanup_may_use_a_background_task",
        {"signum": INT},
    ),
    "phase rest": (
        "insist",
        "a_task_that_swallows_once_is_asked_again_at_half_of_the_grace",
        {"place": "a background task", "tasks": "own tasks"},
    ),
    "phase close": (
        "threads",
        "work_that_waits_for_a_thread_of_the_loop_is_finished",
        {},
    ),
    "phase force": (
        "grace",
        "a_cleanup_that_never_ends_is_forced_with_status_70",
        {"end": "return"},
    ),
    "what is queued at last is dropped": (
        "while_closing",
        "what_the_last_cleanup_queues_is_called",
        {"signum": TERM},
    ),
    "a main thread that waits has for ever": (
        "runs_in_threads",
        "one_for_which_the_main_thread_waits_is_ended_within_the_grace",
        {"wait": "with a pool", "signum": INT},
    ),
    "a signal just before a wait is lost": (
        "runs_in_threads",
        "a_signal_just_before_a_wait_for_one_is_heard",
        {"signum": TERM},
    ),
    "the signal strikes before files are closed": (
        "output",
        "files_are_closed_and_finalizers_run",
        {"signum": TERM},
    ),
    "files are forgotten where the end is forced": (
        "output",
        "what_was_written_to_files_is_there_where_the_end_is_forced",
        {"thread": "a thread", "signum": TERM},
    ),
    "a wait that was given up ends turns": (
        "runner",
        "a_run_that_was_given_up_does_not_end_a_later_one",
        {},
    ),
    "an interrupted run ends more than main": (
        "runner",
        "a_server_in_the_background_lives_on_after_an_interrupted_run",
        {"signum": TERM},
    ),
    "threads of other pools have nothing to do": (
        "pools",
        "a_thread_of_the_loops_pool_that_the_program_made_is_named_and_left",
        {},
    ),
    "errors of who was cancelled are kept": (
        "cleanups",
        "what_a_task_held_is_let_go_although_the_program_holds_the_task",
        {"signum": TERM},
    ),
    "tasks that nobody holds are lost": (
        "the_rest",
        "nobody_needs_to_hold_a_task_for_its_cleanup_to_run",
        {"make": "asyncio.create_task(background())"},
    ),
    "sockets go on listening": ("main_first", "listening_sockets_stop_first", {}),
    "main is never alone": (
        "main_first",
        "mains_cleanup_may_use_a_background_task",
        {"signum": INT},
    ),
    "main's time alone begins with the end": (
        "main_first",
        "mains_cleanup_may_use_a_background_task_after_a_drain_step",
        {"signum": TERM},
    ),
    "a late main leaves the rest no time": (
        "main_first",
        "a_main_after_a_long_drain_leaves_time_for_the_cleanups_of_the_rest",
        {"signum": TERM},
    ),
    "main waits alone for connections": (
        "main_first",
        "a_main_that_waits_for_connections_holds_up_nothing",
        {"wait": "serve_forever"},
    ),
    "everybody is asked once more": (
        "the_rest",
        "a_task_that_the_program_has_cancelled_is_not_cancelled_again",
        {"end": "return", "tasks": "own tasks"},
    ),
    "only one round is asked": (
        "the_rest",
        "tasks_born_in_the_shutdown_are_ended_too",
        {"end": "return", "tasks": "own tasks"},
    ),
    "nobody insists at half": (
        "insist",
        "a_task_that_swallows_once_is_asked_again_at_half_of_the_grace",
        {"place": "a background task", "tasks": "own tasks"},
    ),
    "nobody insists at three quarters": (
        "insist",
        "a_task_that_may_be_in_its_cleanup_is_asked_again_at_three_quarters",
        {"place": "a background task", "tasks": "own tasks"},
    ),
    "shields protect nobody": (
        "shielded",
        "a_shielded_job_is_spared_when_main_returns",
        {"tasks": "own tasks"},
    ),
    "what cleanups wait for is not spared": (
        "insist",
        "what_a_cleanup_awaits_is_not_asked_at_half_of_the_grace",
        {"tasks": "own tasks"},
    ),
    "only cleanups that we asked for are spared": (
        "unwinding_already",
        "what_its_cleanup_waits_for_is_spared_whoever_told_it",
        {"told": "by the program before the end", "cleanup": "gathers"},
    ),
    "cleanups are cut through who waits for them": (
        "unwinding_already",
        "who_waits_for_its_cleanup_is_not_asked_at_its_cost",
        {"wait": "await", "tasks": "pass", "signum": TERM},
    ),
    "nobody is asked later": (
        "unwinding_already",
        "one_that_took_its_request_back_is_asked_as_soon_as_it_has",
        {"how": "timeout", "place": "main", "signum": INT},
    ),
    "only what a cleanup awaits itself is spared": (
        "cleanups",
        "what_a_cleanup_or_shielded_job_waits_for_has_time",
        {"place": "main"},
    ),
    "the parts of a shielded gathering are asked": (
        "shielded",
        "the_jobs_of_a_shielded_gathering_are_spared",
        {"shield": "asyncio.shield", "place": "main", "tasks": "own tasks"},
    ),
    "the end of a shielded gathering is reported": (
        "shielded",
        "the_jobs_of_a_shielded_gathering_that_go_on_are_cancelled_in_silence",
        {"shield": "asyncio.shield", "tasks": "own tasks"},
    ),
    "who waits for a cleanup is asked again": (
        "insist",
        "a_task_that_waits_for_the_cleanup_of_another_is_not_asked_at_half",
        {"waits": "create_task", "tasks": "own tasks"},
    ),
    "main is alone for over a second": (
        "main_first",
        "main_is_alone_for_a_second_or_a_quarter_of_a_little_grace",
        {"signum": TERM, "grace": None, "alone": 1},
    ),
    "idle connections hold who waits for them": (
        "servers",
        "protocols_without_tasks_lose_their_idle_connections",
        {"make": "tcp", "hold": "async with serve_forever"},
    ),
    "all paths through gatherings are walked": (
        "own_loop_ends",
        "gathers_of_shared_tasks_are_unwound_in_time",
        {},
    ),
    "goodbyes are waited for": (
        "tls",
        "a_client_that_never_answers_the_goodbye_holds_nothing",
        {"hold": "serve_forever"},
    ),
    "a repeated signal is a new one": (
        "own_loop_ends",
        "a_repeated_termination_does_not_cut_the_programs_own_cleanup",
        {"again": TERM},
    ),
    "children of a task group are asked too": (
        "main_first",
        "children_of_a_task_group_are_cancelled_once",
        {"signum": TERM, "place": "a background task", "tasks": "own tasks"},
    ),
    "who closes a generator is asked too": (
        "async_generators",
        "one_that_ignores_its_end_is_reported_and_the_others_are_closed",
        {},
    ),
    "suspended generators stay": (
        "async_generators",
        "a_suspended_one_is_closed_with_what_it_awaits",
        {"end": "SIGTERM"},
    ),
    "generators have all the time that is left": (
        "children_of_the_loop",
        "one_has_time_to_end_also_where_a_generator_uses_up_its_own",
        {},
    ),
    "generators have only their share": (
        "async_generators",
        "a_long_cleanup_within_the_grace_is_not_cut_short",
        {"end": "SIGTERM"},
    ),
    "generators that are cut are not named": (
        "async_generators",
        "one_whose_cleanup_is_cut_is_named_and_the_status_tells",
        {"end": "SIGTERM"},
    ),
    "late tasks are not ended": (
        "async_generators",
        "a_task_that_the_cleanup_of_one_leaves_behind_is_ended_too",
        {},
    ),
    "what is born while the loop is closed is left": (
        "while_closing",
        "tasks_born_while_something_else_is_waited_for_are_ended",
        {"waits": "a thread", "end": "return", "tasks": "own"},
    ),
    "what tasks have held goes with the loop": (
        "while_closing",
        "what_main_has_held_is_dropped_before_the_loop_is_closed",
        {"tasks": "own", "signum": signal.SIGTERM},
    ),
    "nobody reads from children that end": (
        "children_of_the_loop",
        "one_may_say_all_its_last_words_to_nobody",
        {"reads": "unread"},
    ),
    "children that a thread of the loop joins are not asked": (
        "processes_of_the_program",
        "one_that_a_thread_of_the_loop_joins_is_ended",
        {"signum": signal.SIGTERM},
    ),
    "a gathering that was cancelled has failed": (
        "the_rest",
        "a_gathering_that_nobody_awaits_is_ended_without_a_word",
        {"tasks": "own tasks", "end": "return"},
    ),
    "nobody looks on while callers wait": (
        "callers",
        "what_one_waits_for_does_not_hold_the_end_past_the_grace",
        {"waits": "a thread", "signum": signal.SIGTERM},
    ),
    "children that callers join are not asked": (
        "callers",
        "a_process_that_one_joins_is_asked_to_end",
        {"signum": signal.SIGTERM},
    ),
    "an exit after the grace is not bounded": (
        "callers",
        "one_that_cleans_up_beyond_the_grace_leaves_a_thread_no_more_time",
        {"signum": signal.SIGTERM},
    ),
    "a later Ctrl-C in a caller is shown": (
        "callers",
        "a_later_ctrl_c_means_now",
        {"wait": "thread.join()"},
    ),
    "the loop's pool is not waited for": (
        "threads",
        "work_that_waits_for_a_thread_of_the_loop_is_finished",
        {},
    ),
    "no thread of the loop is given up": (
        "runs_in_threads",
        "force_in_one_ends_only_that",
        {},
    ),
    "unsent bytes are not waited for": (
        "servers",
        "what_was_written_reaches_a_slow_client",
        {"then": "it returned", "hold": "sleeping"},
    ),
    "connections are not aborted": (
        "servers",
        "a_protocol_whose_peer_never_reads_is_told_that_its_connection_is_lost",
        {},
    ),
    "who is cut off is not named": (
        "servers",
        "the_status_tells_that_a_client_was_cut_off",
        {},
    ),
    "children of the loop are not asked to end": (
        "children_of_the_loop",
        "one_that_heeds_sigterm_has_time_for_it",
        {"signum": TERM},
    ),
    "children of the loop are asked once more": (
        "children_of_the_loop",
        "one_is_asked_once_beside_the_long_cleanup_of_a_generator",
        {},
    ),
    "children of the loop are only asked to end": (
        "children_of_the_loop",
        "one_that_ignores_sigterm_is_killed_and_named",
        {"signum": TERM},
    ),
    "children that may stay are not let go": (
        "children_of_the_loop",
        "one_in_its_own_session_is_left_without_a_word",
        {},
    ),
    "what is forced is not closed": (
        "grace",
        "the_outer_finally_blocks_of_what_is_forced_run",
        {},
    ),
    "what refuses to be closed is dropped": (
        "cleanups",
        "a_coroutine_that_ignores_its_close_at_force_ends_silently",
        {},
    ),
    "what is given up stays pending": (
        "grace",
        "a_task_that_was_given_up_is_done_for_whoever_asks_afterwards",
        {"tasks": "own tasks"},
    ),
    "steps of what is given up are reported": (
        "given_up",
        "what_waits_for_it_is_given_up_with_it_and_silently",
        {"wait": "a task", "kind": "lets itself be closed", "tasks": "own tasks"},
    ),
    "loops are closed before exit functions": (
        "own_loop_ends",
        "an_exit_function_may_run_what_was_left_with_something_pending",
        {"what": "a loop"},
    ),
    "only tasks are left on a loop": (
        "own_loop_ends",
        "generators_are_closed_on_a_loop_that_has_no_task_left",
        {"close": "it is left open"},
    ),
    "nobody follows a signal out of a program": (
        "own_loop_ends",
        "who_waits_for_what_never_ends_is_ended_then",
        {"other": "a thread", "signum": TERM},
    ),
    "an end that was caught bounds the exit": (
        "callers",
        "a_run_after_one_whose_end_was_caught_lifts_the_bound_of_the_exit",
        {},
    ),
    "every wait on the way out is bounded": (
        "runs_in_threads",
        "a_main_thread_on_its_way_out_that_waits_for_something_else_has_its_time",
        {"other": "another thread"},
    ),
    "runs in all threads count as the pool's": (
        "runs_in_threads",
        "the_end_of_one_leaves_another_alone",
        {"run": "in the main thread"},
    ),
    "parts of young gatherings are lost": (
        "failures_in_the_end",
        "so_is_each_part_of_a_gathering_that_a_cleanup_makes",
        {"end": "return"},
    ),
    "a runner forgets the first one": (
        "runner",
        "a_later_ctrl_c_while_it_is_closed_means_now",
        {"signum": TERM},
    ),
    "nothing is reserved for it": (
        "grace",
        "a_reserve_is_kept_for_what_comes_after_a_task_that_never_ends",
        {},
    ),
    "a forced end raises nothing": (
        "grace",
        "a_cleanup_that_never_ends_is_forced_with_status_70",
        {"end": "sys.exit(0)"},
    ),
    "the end cannot be hurried": (
        "repeated_signals",
        "a_later_ctrl_c_means_now",
        {"first": INT},
    ),
    "nothing is said of a hurried end": (
        "repeated_signals",
        "a_later_ctrl_c_names_each_survivor_in_one_line_without_noise",
        {},
    ),
    "the traceback of a hurried end is shown": (
        "repeated_signals",
        "a_later_ctrl_c_names_each_survivor_in_one_line_without_noise",
        {},
    ),
    "the exit cannot be hurried": (
        "repeated_signals",
        "a_later_ctrl_c_ends_an_exit_function_and_the_others_run",
        {"first": TERM},
    ),
    "a later Ctrl-C at the exit is any": (
        "repeated_signals",
        "a_later_ctrl_c_ends_an_exit_function_and_the_others_run",
        {"first": TERM},
    ),
    "runs in threads are told but not asked": (
        "runs_in_threads",
        "one_is_ended_when_the_main_thread_returns",
        {"daemon": False},
    ),
    "blocked runs in threads are waited for": (
        "runs_in_threads",
        "one_that_is_blocked_is_named_and_ended_when_the_main_thread_returns",
        {},
    ),
    "runs in threads cannot be hurried": (
        "runs_in_threads",
        "a_second_ctrl_c_ends_one_at_once",
        {},
    ),
    "any Ctrl-C cuts the wait for runs in threads": (
        "runs_in_threads",
        "two_ctrl_c_shortly_after_another_are_one",
        {},
    ),
    "runs in the loop's pool are not asked": (
        "runs_in_threads",
        "one_in_a_thread_of_the_loop_is_ended_with_that",
        {},
    ),
    "threads are not waited for": (
        "threads",
        "one_that_ends_within_the_grace_is_waited_for",
        {"begin": "threading.Thread(target=soon).start()", "signum": TERM},
    ),
    "threads are waited for without limit": (
        "threads",
        "sys_exit_does_not_wait_for_ever",
        {},
    ),
    "nothing is forced at the exit": (
        "runs_in_threads",
        "one_that_is_blocked_is_named_and_ended_after_a_ctrl_c",
        {},
    ),
    "an exit is bound however late it begins": (
        "threads",
        "a_program_that_goes_on_after_a_signal_is_on_its_own",
        {},
    ),
    "nobody leaves unheard": (
        "output",
        "a_reader_that_does_not_read_cannot_hold_it",
        {"prints": "atexit.register(print, 'x' * 100_000)", "signum": TERM},
    ),
    "the death by Ctrl-C is not kept": (
        "exit_functions",
        "what_one_makes_after_a_ctrl_c_does_not_change_the_status",
        {},
    ),
    "output without a reader is kept": (
        "closed_output",
        "unflushed_output_to_a_closed_pipe_changes_no_status",
        {"signum": TERM},
    ),
    "runs in threads are not told": (
        "where_it_runs",
        "a_run_in_a_thread_ends_when_ctrl_c_ends_the_main_thread",
        {"daemon": False},
    ),
    "the exit is not bound": (
        "threads",
        "sys_exit_does_not_wait_for_ever",
        {},
    ),
    "nobody looks on at the exit": (
        "threads",
        "an_exit_function_that_never_ends_is_named_and_left",
        {},
    ),
    "the status of an exit function's run is lost": (
        "exit_functions",
        "a_signal_in_one_runs_its_cleanups_and_ends_the_program",
        {"signum": TERM, "run": "pass"},
    ),
    "unread output is waited for": (
        "output",
        "a_reader_that_does_not_read_cannot_hold_it",
        {"prints": "print('unread')", "signum": TERM},
    ),
    "late calls of threads are shown": (
        "threads",
        "one_that_goes_on_calling_the_loop_prints_nothing",
        {"daemon": False},
    ),
    "the traceback of a forced thread is shown": (
        "runs_in_threads",
        "force_ends_the_thread_without_a_traceback",
        {"end": "thread.join()"},
    ),
    "pools are not told": (
        "pools",
        "an_idle_one_is_ended_at_once",
        {"pool": "ThreadPoolExecutor", "signum": TERM},
    ),
    "children are only asked to end": (
        "processes_of_the_program",
        "one_that_ignores_sigterm_is_killed_and_named",
        {"daemon": False},
    ),
    "children are not asked to end": (
        "processes_of_the_program",
        "one_that_never_ends_is_ended",
        {"method": "fork", "signum": TERM},
    ),
    "workers of pools are children as others": (
        "pools",
        "a_job_of_a_process_has_more_than_half_of_the_grace",
        {"asks": "sys.exit(0)"},
    ),
    "repeated signals end the exit": (
        "threads",
        "another_sigterm_does_not_shorten_the_wait_for_one",
        {},
    ),
    "nothing is said of a slow end": (
        "report",
        "a_slow_end_says_once_what_it_waits_for",
        {},
    ),
    "nothing is said of a slow exit": (
        "threads",
        "a_wait_for_one_that_takes_long_is_told_once",
        {},
    ),
    "nothing is said of a forced end": (
        "report",
        "a_forced_end_names_the_task_and_the_line_where_it_was_stuck",
        {"tasks": "own tasks"},
    ),
    "no report is written": (
        "report",
        "the_report_is_written_as_json",
        {"kind": "clean"},
    ),
    "children that go on are not reported": (
        "processes_of_the_program",
        "one_of_subprocess_that_goes_on_is_in_the_report",
        {"end": "SIGTERM", "own_session": False},
    ),
    "our guardian is a child as others": (
        "processes_of_the_program",
        "a_program_that_adopts_orphans_reports_no_process_of_quiesces",
        {},
    ),
    "the service manager is not told": (
        "drain",
        "the_service_manager_is_told_when_the_end_begins",
        {"kind": "a file"},
    ),
    "no drain step runs": (
        "drain",
        "a_service_drains_before_anything_is_cancelled",
        {"signum": TERM},
    ),
    "drain steps may use up the grace": (
        "drain",
        "steps_leave_time_for_cleanups",
        {},
    ),
    "a late drain step is not named": (
        "drain",
        "a_step_over_its_limit_is_named_and_the_others_run",
        {},
    ),
    "no block is protected": (
        "protected",
        "a_cleanup_of_any_length_is_let_finish",
        {},
    ),
    "a protected block outlasts the grace": ("protected", "the_grace_wins", {}),
    "the end does not say that it asks": (
        "provenance",
        "the_end_says_why_it_asked_the_background_tasks",
        {"reason": "SIGTERM"},
    ),
    "who concerns nobody else is not asked": (
        "provenance",
        "the_end_says_why_it_asked_the_background_tasks",
        {"reason": "SIGTERM"},
    ),
    "what asyncio's tasks were asked is forgotten": (
        "provenance",
        "the_report_as_json_says_it_too",
        {"tasks": "asyncio.Task"},
    ),
    "the last request is never swallowed": (
        "report",
        "the_json_report_counts_every_request_that_was_certainly_swallowed",
        {"tasks": "own tasks"},
    ),
    "what generators wait for is not told": (
        "async_generators",
        "one_that_hangs_tells_what_it_waits_for_and_since_when",
        {"cleanup": "quiesce.sleep(3600)"},
    ),
    "what a pool's thread was handed is forgotten": (
        "report",
        "a_thread_of_the_loop_that_runs_no_code_of_the_program_tells_which_call",
        {"call": "time.sleep"},
    ),
    "who made a task is forgotten": (
        "report",
        "a_forced_end_names_the_line_that_created_the_task",
        {"creator": "create_task", "tasks": "asyncio.Task"},
    ),
    "failures are not reported soon": (
        "errors",
        "what_was_reported_still_comes_out_of_a_later_await",
        {},
    ),
    "failures are not reported at the end": (
        "errors",
        "a_failure_held_in_a_global_is_reported_before_the_end",
        {"end": "return", "tasks": "own tasks"},
    ),
    "what a finalizer's report raises is lost": (
        "exceptional_mains",
        "sys_exit_ends_the_program_in_order_wherever_it_is_called",
        {"place": "an exception handler, of a task that was dropped"},
    ),
    "what a signal overrules is lost": (
        "failed_mains",
        "what_one_raised_is_shown_once_though_a_signal_comes_at_the_end",
        {"signum": TERM, "run": "a run"},
    ),
    "no signal is heard between two runs": (
        "runner",
        "a_termination_between_two_runs_ends_the_background_in_order",
        {},
    ),
    "nothing is named": (
        "blocked_loops",
        "what_blocks_a_task_is_named_and_cut_and_the_others_clean_up",
        {"blocker": "a sleep", "signum": TERM},
    ),
    "nothing is interrupted": (
        "blocked_loops",
        "what_blocks_a_task_is_named_and_cut_and_the_others_clean_up",
        {"blocker": "a sleep", "signum": TERM},
    ),
    "nobody else hears of a signal": (
        "calls_that_hear_nothing",
        "one_is_named_with_all_that_is_left_when_the_process_ends",
        {"call": "a lock of C", "signum": TERM},
    ),
    "who hears late has the whole grace": (
        "calls_that_hear_nothing",
        "one_that_ends_in_time_leaves_the_rest_of_the_grace",
        {},
    ),
    "callbacks in a row pass for one": (
        "busy_loops",
        "cleanups_that_each_block_briefly_are_not_cut",
        {"number": 50, "each": 0.05, "signum": TERM},
    ),
    "who was interrupted is asked too": (
        "blocked_loops",
        "what_blocks_elsewhere_is_cut_too",
        {
            "place": "main",
            "blocker": "a sleep",
            "signum": TERM,
        },
    ),
    "the deadline is not held": (
        "blocked_loops",
        "what_cannot_be_cut_is_ended_at_the_deadline",
        {"signum": TERM},
    ),
    "nobody ends the process at the deadline": (
        "blocked_loops",
        "what_cannot_be_cut_is_ended_at_the_deadline",
        {"signum": TERM},
    ),
    "no deadline is held for own loops": (
        "own_loop",
        "what_blocks_it_is_named_and_cut_after_a_signal",
        {"call": "run_forever", "blocker": "a sleep", "signum": TERM},
    ),
    "nothing guards own loops against C": (
        "own_loop",
        "a_call_that_lets_no_python_run_in_it_ends_the_process",
        {"call": "run_forever", "signum": TERM},
    ),
    "the guard holds no deadline": (
        "blocked_loops",
        "a_call_that_lets_no_python_run_after_mains_return_ends_the_process",
        {},
    ),
    "the guard does not let go": (
        "own_loop",
        "a_program_that_catches_the_signal_has_as_long_as_it_wants",
        {"call": "run_forever", "goes_on": "without a loop", "signum": TERM},
    ),
    "only runners are watched": (
        "own_loop",
        "zero_turns_the_report_off",
        {},
    ),
    "what holds the end outside of tasks is not named": (
        "blocked_loops",
        "what_blocks_the_end_outside_of_the_loop_is_named",
        {},
    ),
    "a report is handed over although another is": (
        "blocked_loops",
        "a_function_that_blocks_with_the_report_is_named_and_called_once",
        {"cleanup": 0.05},
    ),
    "nothing guards the exit against C": (
        "calls_that_keep_the_gil",
        "one_during_the_interpreters_exit_ends_the_process",
        {"place": "an exit function", "signum": TERM},
    ),
    "nothing guards against C": (
        "blocked_loops",
        "a_call_that_lets_no_python_run_does_not_save_the_children",
        {},
    ),
    "errors at the end show what ends the program": (
        "errors",
        "an_error_at_the_end_does_not_show_what_ends_the_program",
        {"what": "a done callback", "end": "raise OSError('of main')"},
    ),
    "what asyncio's gatherings drop is lost": (
        "errors",
        "each_part_of_a_gathering_that_fails_at_the_end_is_reported_once",
        {"where": "a background task", "keep": False},
    ),
    "what is left is named twice": (
        "unruly_programs",
        "what_is_left_is_named_once_though_it_cannot_be_closed_either",
        {},
    ),
    "signals are not kept from our own threads": (
        "unruly_programs",
        "a_signal_that_main_waits_for_goes_to_no_thread_of_quiesces",
        # The others are blocked around forks anyway, after which the thread begins.
        {"signum": signal.SIGUSR1},
    ),
    "what a runner ends is an open loop": (
        "unruly_programs",
        "an_end_that_hangs_is_not_gone_through_in_another_thread",
        {},
    ),
    "open loops stay open": (
        "own_loop",
        "what_a_finished_call_leaves_pending_is_ended_at_exit",
        {},
    ),
    "loops of other threads go on": (
        "loops_in_threads",
        "a_signal_ends_them_in_whatever_thread",
        {"signum": TERM, "daemon": False},
    ),
    "loops that nobody holds are lost": (
        "own_loop_ends",
        "what_is_pending_on_a_loop_that_nobody_holds_is_ended_too",
        {"tasks": "tasks of ours"},
    ),
    "loops that threads run late go on": (
        "loops_in_threads",
        "a_loop_that_a_thread_runs_only_then_is_ended_too",
        {"signum": TERM},
    ),
    "runs that threads begin late go on": (
        "loops_in_threads",
        "a_run_that_a_thread_begins_only_then_is_ended_too",
        {"signum": TERM},
    ),
    "Ctrl-C at the exit is Python's": (
        "interpreter_exits",
        "an_exit_function_that_is_at_work_is_not_cut_short",
        {"signum": INT},
    ),
    "the exit is not bound where no run was ended": (
        "threads",
        "one_that_never_ends_is_named_and_left_in_a_program_without_a_loop",
        {},
    ),
    "a signal at the exit is not heard": (
        "interpreter_exits",
        "an_exit_function_that_is_at_work_is_not_cut_short",
        {"signum": TERM},
    ),
    "a thread that writes keeps the lock of its stream": (
        "threads",
        "one_that_writes_all_the_time_does_no_harm",
        {"daemon": True, "flush": True},
    ),
    "a signal that comes before a wait is not repeated": (
        "interpreter_exits",
        "a_signal_that_does_not_interrupt_the_wait_for_threads_ends_it_all_the_same",
        {"signum": TERM},
    ),
    "no death by the signal": (
        "triggers",
        "a_signal_ends_main_and_then_the_rest",
        {"signum": TERM},
    ),
}
UNDER_QUIESCE_RUN = {
    "loops are closed before exit functions",
    "only tasks are left on a loop",
    "a signal just before a wait is lost",
    "nobody follows a signal out of a program",
    "a repeated signal is a new one",
    "a repeated signal is new to who called run",
    "signals are not kept from our own threads",
    "what a runner ends is an open loop",
    "Ctrl-C at the exit is Python's",
    "loops of other threads go on",
    "loops that nobody holds are lost",
    "loops that threads run late go on",
    "no deadline is held for own loops",
    "nothing guards own loops against C",
    "only runners are watched",
    "the guard does not let go",
    "the exit is not bound where no run was ended",
    "a signal at the exit is not heard",
    "open loops stay open",
    "a signal that comes before a wait is not repeated",
    "nothing of ours goes before a fork",
    "no death by the signal",
    "the signal strikes before files are closed",
}


@pytest.mark.parametrize("mutant", FAILS)
def test_without_it_a_scenario_fails(scenario, mutant):
    if mutant == "main waits alone for connections" and sys.version_info < (3, 12):
        pytest.skip("before Python 3.12 a closed server waits for no connections")
    if mutant == "the death by Ctrl-C is not kept" and sys.version_info >= (3, 14):
        pytest.skip("since Python 3.14 nothing makes it forget that")
    if mutant == "the end of a shielded gathering is reported" and not hasattr(
        asyncio.tasks, "_log_on_exception"
    ):
        pytest.skip("in this version of asyncio a shield reports nothing")
    if mutant == "nothing of ours goes before a fork" and sys.version_info < (3, 12):
        pytest.skip("before Python 3.12 a fork beside threads is no news")
    if mutant == "tasks that nobody holds are lost" and quiesce.COMPILED:
        pytest.skip("compiled, nothing can be changed there")
    if mutant == "our guardian is a child as others" and quiesce.COMPILED:
        pytest.skip("compiled, no process guards")
    file, name, parameters = FAILS[mutant]
    tests = import_module(f"tests.programs.exits.test_{file}")
    way = "quiesce run" if mutant in UNDER_QUIESCE_RUN else scenario.way
    mutated = Scenario(way, mutant=mutant, patience=PATIENCE)
    with pytest.raises((AssertionError, ValueError)):
        getattr(tests, f"test_{name}")(mutated, **parameters)
    for program in mutated.programs:
        assert program.outcome is None or not is_broken(program.outcome.err)


def is_broken(text):
    """Tell whether a program's stderr shows that its mutant fails by itself."""
    return BROKEN.search(text) is not None


def test_a_mutant_that_breaks_counts_for_nothing():
    with pytest.raises(TypeError) as raised:
        once(None)(None)
    shown = "".join(traceback.format_exception(raised.value))
    own, by_another = shown, "TypeError: 'NoneType' object is not callable\n"
    assert is_broken(own)
    assert is_broken(by_another)
    assert not is_broken(
        own.replace("mutants.py", "m.py").replace("TypeError", "OSError")
    )


def test_each_mechanism_that_can_be_switched_off_has_its_scenario():
    assert set(FAILS) == set(MUTANTS)
