"""Starts a program and tells its wall-clock seconds and its peak memory: `python -I -S launch.py REPORT PROGRAM ARGS...`.

A process of its own, because the peak that the kernel keeps of a child (`ru_maxrss`) begins with the memory of whoever
started it: started from a Python that holds candles, every program would seem to need that much. This one holds some
10 MB, which is the least it can tell.
"""

import json
import os
import sys
import time


def main() -> None:
    """Runs the program with this process's streams and writes what it took to REPORT, as JSON."""
    report, *command = sys.argv[1:]
    start = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    cpu = usage.ru_utime + usage.ru_stime
    with open(report, "w", encoding="utf-8") as out:
        # Linux counts kibibytes.
        peak = usage.ru_maxrss * 1024
        json.dump(dict(seconds=seconds, cpu=cpu, peak=peak, status=os.waitstatus_to_exitcode(status)), out)


main()
