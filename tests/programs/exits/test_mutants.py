"""Each mechanism of the end is needed: without it, its scenario fails"""

from __future__ import annotations

import signal
import sys
from importlib import import_module

import pytest

from tests.programs.exits.mutants import MUTANTS
from tests.programs.exits.scenario import Scenario

pytestmark = [pytest.mark.whole, pytest.mark.ways("quiesce.run")]

# Seconds beyond the grace until a mutant hangs.
PATIENCE = 4.0

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
    "sockets go on listening": ("main_first", "listening_sockets_stop_first", {}),
    "main is never alone": (
        "main_first",
        "mains_cleanup_may_use_a_background_task",
        {"signum": INT},
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
    "nothing is said of a forced end": (
        "report",
        "a_forced_end_names_the_task_and_the_line_where_it_was_stuck",
        {},
    ),
    "no report is written": (
        "report",
        "the_report_is_written_as_json",
        {"kind": "clean"},
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
    "the deadline is not held": (
        "blocked_loops",
        "what_cannot_be_cut_is_ended_at_the_deadline",
        {"signum": TERM},
    ),
    "only runners are watched": (
        "own_loop",
        "zero_turns_the_report_off",
        {},
    ),
    "nothing guards against C": (
        "blocked_loops",
        "a_call_that_lets_no_python_run_does_not_save_the_children",
        {},
    ),
    "open loops stay open": (
        "own_loop",
        "what_a_finished_call_leaves_pending_is_ended_at_exit",
        {},
    ),
    "no death by the signal": (
        "triggers",
        "a_signal_ends_main_and_then_the_rest",
        {"signum": TERM},
    ),
}
UNDER_QUIESCE_RUN = {
    "only runners are watched",
    "open loops stay open",
    "no death by the signal",
}


@pytest.mark.parametrize("mutant", FAILS)
def test_without_it_a_scenario_fails(scenario, mutant):
    if mutant == "main waits alone for connections" and sys.version_info < (3, 12):
        pytest.skip("before Python 3.12 a closed server waits for no connections")
    file, name, parameters = FAILS[mutant]
    tests = import_module(f"tests.programs.exits.test_{file}")
    way = "quiesce run" if mutant in UNDER_QUIESCE_RUN else scenario.way
    mutated = Scenario(way, mutant=mutant, patience=PATIENCE)
    with pytest.raises((AssertionError, ValueError)):
        getattr(tests, f"test_{name}")(mutated, **parameters)


def test_each_mechanism_that_can_be_switched_off_has_its_scenario():
    assert set(FAILS) == set(MUTANTS)
