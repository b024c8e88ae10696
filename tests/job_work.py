"""Work for tests of jobs: functions that other processes can import."""

import os
import signal
import time
from pathlib import Path

from regulome.errors import InputError


def do(job):
    """Do what a job says: (word, argument)."""
    word, argument = job
    if word == "environment":
        return os.environ.get(argument)
    if word == "process":
        return os.getpid()
    if word == "input":
        raise InputError("is wrong", file=argument, cure="mend it")
    if word == "error":
        raise ValueError("two\nlines")
    if word == "sleep":
        Path(argument).write_text(str(os.getpid()))
        time.sleep(60)
    if word == "kill":
        # Killed as often as the file has no letter for it.
        file, times = argument
        done = len(Path(file).read_text()) if Path(file).exists() else 0
        if done < times:
            Path(file).write_text("x" * (done + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return argument
