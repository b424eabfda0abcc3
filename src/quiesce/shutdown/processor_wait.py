"""For how long a thread was ready to run and did not get a processor.

Linux counts that for each thread: /proc/self/task/N/schedstat has its nanoseconds on a
processor, and those for which it waited for one; the second only once the wait is over.
"""

from __future__ import annotations

import os

NANOSECOND = 1e-9


class ProcessorWait:
    """Tells how long one thread has waited for a processor since `begin`.

    `native_id` is the system's number of the thread. Where the system does not tell,
    it has not waited. All methods may be called in any thread.
    """

    def __init__(self, native_id: int) -> None:
        self.folder = f"/proc/self/task/{native_id}"
        # Nanoseconds at the beginning, and on a processor until the last look.
        self.waited_before = 0
        self.ran = 0

    def begin(self) -> None:
        """Count from now on."""
        self.ran, self.waited_before = self.times()

    def waited(self, seconds: float) -> float:
        """Return how many seconds it has waited; all `seconds` if it still does."""
        before = self.ran
        self.ran, waited = self.times()
        if self.ran and self.ran == before and self.is_ready():
            # It was not let run since somebody looked last, and no count says for how
            # long.
            return seconds
        return (waited - self.waited_before) * NANOSECOND

    def times(self) -> tuple[int, int]:
        """Return the nanoseconds on a processor, and those of the wait for one."""
        words = self.read("schedstat").split()
        return (int(words[0]), int(words[1])) if len(words) > 1 else (0, 0)

    def is_ready(self) -> bool:
        """Tell whether it runs, or would if it were let."""
        # The name of the program comes before, and may hold anything.
        return self.read("stat").rpartition(b")")[2].split()[:1] == [b"R"]

    def read(self, name: str) -> bytes:
        """Return what the system says; nothing if the thread is gone."""
        try:
            fd = os.open(f"{self.folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.read(fd, 4096)
        except OSError:
            return b""
        finally:
            os.close(fd)
