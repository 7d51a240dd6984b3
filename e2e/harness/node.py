"""One server process: started, awaited, stopped or killed by its own id."""

import ctypes
import os
import shutil
import signal
import subprocess
import time

from .four_letter import four_letter
from .raw import Closed, Raw


_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_the_harness():
    """Asks the kernel to kill this process when its parent ends, however that comes about.

    The kernel means the thread that started it: nodes are started by the main thread only.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def environment():
    """Ours without POLYPORT_…: to the server those are configuration."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("POLYPORT_")}
    return {**kept, "LC_ALL": "C.UTF-8"}


class Node:
    """A member of a cluster. `arguments()` of a subclass says how it is started."""

    host = "127.0.0.1"

    def __init__(self, number, folder, ports):
        self.number = number
        self.folder = folder
        self.ports = ports
        self.process = None
        self.log = folder / "server.log"

    # what a subclass gives

    def arguments(self):
        raise NotImplementedError

    def data_folder(self):
        return self.folder / "data"

    # addresses

    @property
    def address(self):
        return f"{self.host}:{self.ports['client']}"

    @property
    def secure_address(self):
        return f"{self.host}:{self.ports['secure']}"

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    # life

    def start(self):
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.arguments(), cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=_die_with_the_harness,
                env=environment(),
            )

    def _end(self, how, seconds):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            code = None
        self.process = None
        return code

    def stop(self):
        """SIGTERM; the exit code, or None when it had to be killed."""
        return self._end(signal.SIGTERM, 15)

    def kill(self):
        """SIGKILL: no chance to write anything more."""
        return self._end(signal.SIGKILL, 15)

    def wipe(self):
        self.kill()
        shutil.rmtree(self.data_folder(), ignore_errors=True)

    # what it says of itself

    def words(self, word):
        return four_letter(self.address, word)

    def mode(self):
        """standalone, leader, follower, observer, read-only; None while it does not serve."""
        try:
            answer = self.words("srvr")
        except OSError:
            return None
        for line in answer.splitlines():
            if line.startswith("Mode: "):
                return line[6:].strip()
        return None

    def gives_sessions(self):
        """Whether a client is served, asked of a server whose `srvr` says nothing of it."""
        try:
            with Raw(self.address, seconds=2):
                return True
        except (OSError, Closed):
            return False

    def wait_ready(self, seconds=30.0):
        end = time.monotonic() + seconds
        while True:
            mode = self.mode()
            if mode is not None and mode != "read-only":
                return mode
            if mode is None and self.gives_sessions():
                return None
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"the server ended at its start:\n{self.tail()}")
            if time.monotonic() > end:
                raise RuntimeError(f"the server does not serve after {seconds} s:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines=40):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
