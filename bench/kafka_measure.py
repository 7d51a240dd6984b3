"""What the Kafka bench looks at while a load runs, and how it empties the page cache."""

import os
import pathlib
import resource
import time


def busy_s():
    """Processor time that the machine has spent on anything, in seconds."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(
            int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def children_s():
    """Processor time of the children that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Watch:
    """Processor time between two moments: the servers', and what neither they nor the load took."""

    def __init__(self, service):
        self.service = service

    def __enter__(self):
        self.began = time.monotonic(), busy_s(), children_s(), self.service.cpu_s()
        return self

    def __exit__(self, *_):
        began, busy, children, server = self.began
        self.seconds = time.monotonic() - began
        self.server_s = self.service.cpu_s() - server
        others = busy_s() - busy - (children_s() - children) - self.server_s
        self.others = max(0, others) / self.seconds / os.cpu_count()


class Reserve:
    """Pages of the page cache that are taken between loads and free when one begins.

    A virtual machine gives free memory back to its host within seconds, and the first touch of a page
    after that costs ten times what copying records into it does: a cost of the machine that would
    make brokers look alike. They are a file's pages because what is freed as a file's large pages is
    what the next file gets.
    """

    PIECE = 1 << 20

    def __init__(self, directory, megabytes, seconds=10):
        self.path = pathlib.Path(directory) / "reserve"
        self.megabytes, self.seconds = megabytes, seconds

    def hold(self):
        """Takes the pages, for as long as it may last at the most."""
        piece = bytes(self.PIECE)
        deadline = time.monotonic() + self.seconds
        with open(self.path, "wb", buffering=0) as file:
            for _ in range(self.megabytes):
                file.write(piece)
                if time.monotonic() > deadline:
                    break

    def release(self):
        """Leaves them to the load. Nothing of the file is to be written out after this."""
        self.path.unlink(missing_ok=True)


def files(directory, topic):
    """The files of a topic's partitions, those of a topic on its way out among them."""
    found = []
    for partition in pathlib.Path(directory).glob(f"{topic}-*"):
        try:
            found += [file for file in partition.iterdir() if file.is_file()]
        except FileNotFoundError:
            pass
    return found


def drop_pages(directory, topic):
    """Writes a topic's files out and drops them from the page cache."""
    for file in files(directory, topic):
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def settle(directories, topic, seconds=10):
    """Waits until a deleted topic's files are gone and nothing of the run is left to be written."""
    deadline = time.monotonic() + seconds
    while any(files(d, topic) for d in directories) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.sync()
