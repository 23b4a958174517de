"""The file of results: one JSON object a line, on the disk as soon as it is known, so that whoever is cut short has
kept all that was measured. Lines are added to what is there: of what was measured twice the later counts.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time


class Results:
    """Where lines go."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        cut = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
        self.path, self.file = path, path.open("a", encoding="utf-8")
        if cut:
            # A line that was cut off ends here, so that it does not take the next one with it.
            self.file.write("\n")

    def add(self, part, **fields):
        """Writes a line and says it."""
        line = {"part": part, "at": round(time.time(), 1)} | fields
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        print(short(line), file=sys.stderr, flush=True)
        return line


def short(line):
    """A line for people."""
    hidden = ("at", "began", "ended", "card", "doctor", "libraries", "sizes")
    return "  ".join(f"{name}={number(value)}" for name, value in line.items() if name not in hidden)


def number(value):
    return f"{value:.4g}" if isinstance(value, float) else value


def read(path):
    """All lines; one that was cut off is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def follow(command, seconds, heard, environment=None):
    """Runs a command for so many seconds at most, and hands each JSON object of its output to `heard` at once. Gives
    None, or why it did not come to its end: what it said last."""
    with tempfile.TemporaryFile("w+", errors="replace") as words:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, text=True, start_new_session=True,
                                   env=os.environ | (environment or {}))
        reader = threading.Thread(target=listen, args=(process.stdout, heard), daemon=True)
        reader.start()
        try:
            status = process.wait(timeout=max(seconds, 1))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = f"took more than {seconds:.0f} s"
        except BaseException:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            raise
        reader.join(timeout=10)
        if status == 0:
            return None
        words.seek(0)
        return reason(words.read(), status)


def listen(stream, heard):
    for line in stream:
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(said, dict):
            heard(said)


def reason(words, status):
    """The last words of what failed, and how it ended."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    ended = status if isinstance(status, str) else f"exit status {status}"
    return f"{ended}: {' | '.join(lines[-4:])[-900:]}" if lines else ended
