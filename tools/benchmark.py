"""What the benchmarks share: processes that are measured in turns, the machine and its lock, and the documents.

Each tools/bench_*.py measures xent beside its peers and writes a document. A side is either a process for each measurement (`measure`), or one
that holds its data and answers requests, a line of JSON on standard input, a line of JSON on standard output (`Server`, and `serve` for the
sides in Python; `xent-bench` and bench/peers speak the same). A side that has no such case or gives up is `Refused`, and the document says so.

Standard library only: a child's peak memory starts at that of its parent.
"""

import argparse
import contextlib
import datetime
import fcntl
import json
import math
import os
import platform
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "THP_MEM_ALLOC_ENABLE": "1"}  # on huge pages what NumPy has there
HUGE_TRIES = 30
SLICE = 20  # seconds that a lock is held before others may have it


# Processes.


class Refused(Exception):
    """A side that has no such case, is not installed or gave up."""


def pinned(threads):
    """The environment that gives a peer so many threads."""
    return {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


class Server:
    """A process that answers requests, for one number of threads; `hello` is what it says first."""

    def __init__(self, line, threads, **env):
        self.threads = threads
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([str(part) for part in line], env=os.environ | env, text=True, **pipes)
        self.hello = self.reply(None)

    def reply(self, patience):
        if patience is not None and not select.select([self.process.stdout], [], [], patience)[0]:
            self.process.kill()
            self.process.wait()
            raise Refused(f"not within {patience:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise Refused(f"exit code {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise Refused(reply["error"])
        return reply

    def ask(self, patience=None, **request):
        """The reply to a request; a process that takes longer than `patience` seconds is ended."""
        try:
            print(json.dumps(request | {"threads": self.threads}), file=self.process.stdin, flush=True)
        except OSError:
            raise Refused(f"exit code {self.process.wait()}") from None
        return self.reply(patience)

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        with contextlib.suppress(OSError):  # of a process that has ended
            self.process.stdin.close()
        self.process.wait()


def on_huge_pages(line, threads, **env):
    """Starts a server until its allocator does ask for huge pages.

    glibc 2.36 compares the kernel's mode with a string that it forgot to end, and finds "madvise" in about every other process.
    """
    for _ in range(HUGE_TRIES):
        server = Server(line, threads, **HUGE, **env)
        try:
            with open(f"/proc/{server.process.pid}/smaps", encoding="utf-8") as lines:
                heap = lines.read().partition("[heap]")[2]
        except OSError:
            return server
        if " hg" in heap.partition("VmFlags:")[2].partition("\n")[0]:
            return server
        server.stop()
    raise Refused(f"no huge pages in {HUGE_TRIES} tries")


def serve(hello, answer):
    """Is a server: says `hello`, then answers each request by what `answer` makes of it."""
    # What libraries print goes to standard error.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    print(json.dumps(hello), file=out, flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # whatever a peer raises is its result
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(reply), file=out, flush=True)


def measure(line, **env):
    """Runs a process and returns its output, wall and CPU seconds and peak memory in MB."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        pipes = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": errors}
        process = subprocess.Popen([str(part) for part in line], env=os.environ | env, **pipes)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        text, said = out.read().decode(), errors.read().decode(errors="replace")
    if process.returncode != 0:
        raise Refused(f"exit code {process.returncode}: {(said.strip().splitlines() or ['nothing said'])[-1]}")
    scale = 1024 if platform.system() == "Darwin" else 1
    return {"text": text, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / scale * 1024 / 1e6}


def turns(sides, rounds):
    """Each side once a round, back and forth."""
    sides = list(sides)
    for round_ in range(rounds):
        yield from sides if round_ % 2 == 0 else reversed(sides)


# The machine.


class Lock:
    """A lock file, if there is one, as of flock(1): taken by `with`, and given up once it was held for a while."""

    def __init__(self, path):
        self.path, self.file, self.since = path, None, 0.0

    def __enter__(self):
        if self.path is not None and self.file is None:
            self.file = open(self.path, "a", encoding="utf-8")
            fcntl.flock(self.file, fcntl.LOCK_EX)
            self.since = time.perf_counter()

    def __exit__(self, *_):
        if time.perf_counter() - self.since > SLICE:
            self.give_up()

    def give_up(self):
        if self.file is not None:
            self.file.close()
            self.file = None


def others(servers):
    """CPU seconds that everything but these servers and this process has taken so far, as far as the system tells."""
    tick = os.sysconf("SC_CLK_TCK")
    try:
        with open("/proc/stat", encoding="utf-8") as lines:
            user, nice, system, _idle, _wait, irq, soft, steal = map(int, lines.readline().split()[1:9])
        own = time.process_time() * tick
        for server in servers:
            with open(f"/proc/{server.process.pid}/stat", encoding="utf-8") as text:
                own += sum(map(int, text.read().rpartition(")")[2].split()[11:13]))
    except OSError:
        return math.nan
    return (user + nice + system + irq + soft + steal - own) / tick


def machine():
    """The machine, with the processor's family, which its name may not tell."""
    facts, memory = {}, ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                facts.setdefault(name.strip(), value.strip())
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except OSError:
        pass
    model = facts.get("model name") or platform.processor() or platform.machine()
    family = f" (processor family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else ""
    return f"{model}, {os.cpu_count()} cores{memory}, {platform.system()}{family}"


# A run, from its options to its document.


def say(*words):
    """Says how far it is."""
    print(*words, file=sys.stderr, flush=True)


def binary(text):
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"no such file: {text}")
    return Path(text)


def counts(text):
    return [int(count) for count in text.split(",")]


def parser(about, repeat, part):
    """The options of every benchmark; `part` says which part of the rows --quick takes."""
    options = argparse.ArgumentParser(description=about.splitlines()[0])
    options.add_argument("--bench", type=binary, required=True, help="the binary xent-bench")
    options.add_argument("--repeat", type=int, default=repeat, help=f"turns of each side (default {repeat})")
    options.add_argument("--data", type=Path, default=Path("target/bench"), help="where what is measured on is kept")
    options.add_argument("--out", type=Path, help="write the document here too")
    options.add_argument("--lock", type=Path, help=f"a lock file, as of flock(1), on a shared machine: held while measuring, and given up every {SLICE} s")
    options.add_argument("--quick", action="store_true", help=f"{part} of the rows: whether it runs, not how fast")
    return options


class Run:
    """What is measured: results, what each kind of server said first, what went wrong, and how much of the machine others took."""

    def __init__(self, arguments):
        self.arguments, self.lock = arguments, Lock(arguments.lock)
        self.results, self.hello, self.wrong = {}, {}, []
        self.start, self.measured, self.taken = time.perf_counter(), 0.0, 0.0

    @contextlib.contextmanager
    def watched(self, servers):
        """Counts the seconds, and the CPU seconds that others than the servers take meanwhile."""
        start, before = time.perf_counter(), others(servers)
        yield
        self.measured += time.perf_counter() - start
        self.taken += others(servers) - before


class Document:
    """Blocks of lines of Markdown, printed as they come, and written to a file at the end."""

    def __init__(self, path):
        self.path, self.lines, self.failed = path, [], False
        if path is not None:  # a bad path fails before anything is measured
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def say(self, *lines):
        """A block, with a blank line after it."""
        for line in (*lines, ""):
            print(line, flush=True)
            self.lines.append(line)

    def table(self, header, rows, others="---:"):
        """A table, its first column to the left, the others as `others` says."""
        head, *lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
        self.say(head, f"|---{f'|{others}' * (len(header) - 1)}|", *lines)

    def opening(self, title, run, names, pins, part):
        """The title, when and where it was measured, with which versions, and how much of the machine others took."""
        minutes, share = (time.perf_counter() - run.start) / 60, run.taken / max(run.measured, 1e-9) / os.cpu_count()
        versions = [f"{name} {run.hello[key]['version']}".strip() for key, name in names.items() if key in run.hello]
        lines = [
            f"Written by `tools/{Path(sys.argv[0]).name}` on {datetime.date.today().isoformat()}, in {minutes:.0f} minutes. Machine: {machine()}.",
            f"{', '.join(versions)}, Python {platform.python_version()}; pinned in {pins}. "
            f"xent's instruction level: {run.hello.get('xent', {}).get('simd', '')}.",
        ]
        if not math.isnan(share):
            lines.append(f"Other processes took {max(share, 0):.0%} of the machine's CPU time while it measured.")
        self.say(f"# {title}: xent and its peers")
        self.say(*lines)
        self.quick(run.arguments, part)

    def quick(self, arguments, part):
        if arguments.quick:
            self.say(f"**Quick run: {part} of the rows. It shows that the benchmark runs; its times mean nothing.**")

    def sections(self, text):
        """The sections of a script's documentation, after its first two paragraphs."""
        for section in text.split("\n\n", 2)[2].rstrip().split("\n\n"):
            title, _, words = section.partition("\n")
            self.say(f"## {title.strip()}")
            self.say(" ".join(words.split()))

    def failures(self, wrong):
        self.failed = bool(wrong)
        if wrong:
            self.say("## Failures")
            self.say(*(f"- **{line}**" for line in wrong))

    def finish(self):
        """Writes the file; returns the exit code."""
        if self.path is not None:
            self.path.write_text("\n".join(self.lines).rstrip() + "\n", encoding="utf-8")
        return 1 if self.failed else 0


# Words of a document.


def digits(x):
    return "" if x is None else f"{x:.3f}" if x < 1 else f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 1000 else f"{x:,.0f}"


def both(times, scale=1):
    """The median, in brackets the minimum."""
    return f"{digits(statistics.median(times) * scale)} ({digits(min(times) * scale)})"


def verdict(by_medians, by_minima):
    """Whether a goal is reached."""
    return ("yes" if by_minima else "by medians only") if by_medians else "by minima only" if by_minima else "**no**"


def thread_words(count):
    return f"{count} thread{'s' * (count > 1)}"
