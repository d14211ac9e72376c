"""The machine that is measured on: what it is, its memory, and what a process costs."""

import contextlib
import mmap
import os
import platform
import resource
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".cache/bench"
GIB = 1 << 30
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cpu:
    """CPU seconds since a process or thread began."""

    user: float = 0.0
    system: float = 0.0

    def __sub__(self, earlier: "Cpu") -> "Cpu":
        return Cpu(self.user - earlier.user, self.system - earlier.system)

    @property
    def total(self) -> float:
        return self.user + self.system


def _cpu_of(stat: Path) -> Cpu:
    fields = stat.read_text().rsplit(")", 1)[1].split()  # the name in parentheses may hold anything
    return Cpu(int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S)


def cpu(pid: int) -> Cpu:
    """Of all threads, those that have ended too."""
    return _cpu_of(Path(f"/proc/{pid}/stat"))


def cpu_of_threads(pid: int) -> dict[str, float]:
    """CPU seconds by name of the thread."""
    used: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        used[name] = used.get(name, 0) + nanoseconds / 1e9
    return used


def memory_mib(pid: int) -> dict[str, float]:
    """Resident memory, and how much of it is no page of a file."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"rss_mib": kib["Rss"] / 1024, "anon_mib": kib["Anonymous"] / 1024}


def forget_peak(pid: int) -> None:
    """What peak_mib() tells begins with this moment."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pid: int) -> float:
    """The most resident memory so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def disk_mib(folder: Path) -> float:
    """What lies below `folder` takes on the device."""
    blocks = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            blocks += path.stat().st_blocks
    return blocks * 512 / (1 << 20)


def _meminfo_bytes(key: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


def touch_free_memory(share: float) -> str:
    """Touches free memory once and says so.

    On a virtual machine the first touch of a page makes the host find memory for it: writing 600 MB into the page cache took
    1.6 s the first time and 0.14 s later. Whoever came first would pay for all.
    """
    size = int(min(0.8 * _meminfo_bytes("MemAvailable"), 16 * GIB) * min(share, 1)) // mmap.PAGESIZE * mmap.PAGESIZE
    began = time.monotonic()
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    mmap.mmap(-1, size, flags=flags).close()
    return f"touched {size / GIB:.1f} GiB of free memory once, in {time.monotonic() - began:.1f} s"


def allow_many_files() -> None:
    """For this process and those that it starts: as many open files as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pinned(number: int) -> list[str]:
    """The beginning of a command that runs on one processor."""
    return ["taskset", "-c", str(number)]


def _file_system(path: Path) -> str:
    """The type of the file system that holds `path`: of the mounts above it, the one with the longest name."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    return max((len(at), kind) for at, kind in mounts if path.is_relative_to(at))[1]


def description() -> str:
    models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    memory = _meminfo_bytes("MemTotal") / GIB
    return (
        f"{os.cpu_count()} processors ({models[0] if models else platform.machine()}), {memory:.0f} GiB, "
        f"Linux {platform.release().split('-')[0]}, {_file_system(WORK)}, loopback"
    )
