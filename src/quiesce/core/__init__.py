"""The heart: futures, tasks, timers and the scheduler; no sockets, signals or threads.

In reading order: `handle` (one scheduled callback), `ready` (those that may run now),
`timers` (those that wait for a time), `future` (a result that will come), `task` (one
coroutine driven to its end), `scheduler` (what runs when). `poller`, `clock` and
`hooks` say what a loop asks of the system and tells observers; `running` is where
asyncio looks for the current loop and task; `failures` is where an exception goes when
nobody awaits it; `native` stands for what compiled modules say in C.
"""
