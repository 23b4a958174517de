"""What `nvidia-smi` says of the card: its facts once, and how busy it is all the time. Nothing is asked of it to
change."""
import csv
import io
import shutil
import subprocess
import threading
import time

FACTS = ("name", "driver_version", "memory.total", "compute_cap", "power.limit", "clocks.max.sm", "clocks.max.mem",
         "ecc.mode.current", "pcie.link.gen.current", "pcie.link.width.current")

WATCHED = ("utilization.gpu", "utilization.memory", "memory.used", "power.draw", "clocks.sm")

READS = {"NVIDIA H200": 4.8e12, "NVIDIA H100 80GB HBM3": 3.35e12, "NVIDIA H100 PCIe": 2.0e12,
         "NVIDIA A100-SXM4-80GB": 2.039e12, "NVIDIA A100-SXM4-40GB": 1.555e12, "NVIDIA L40S": 0.864e12,
         "NVIDIA GeForce RTX 4090": 1.008e12, "NVIDIA GeForce RTX 5090": 1.792e12}
"""Bytes a second that the vendor's data sheet promises of the memory, by the name that nvidia-smi gives."""


def facts(ordinal):
    """Name, driver and so on; empty where there is no nvidia-smi, or it knows no such card. Fields that an older one
    does not know are left out."""
    found = {}
    for field in FACTS:
        words = ask(ordinal, [field])
        if words and not words[0].startswith("["):
            found[field] = words[0]
    return found


def cuda():
    """The newest CUDA that the driver takes, as the head of nvidia-smi's own table says."""
    said = run(["nvidia-smi"]) or ""
    return said.split("CUDA Version:")[1].split()[0] if "CUDA Version:" in said else None


def ask(ordinal, fields):
    said = run(["nvidia-smi", "-i", str(ordinal), f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"])
    return values(said) if said else []


def values(line):
    return [word.strip() for word in next(csv.reader(io.StringIO(line)), [])]


def run(command):
    """Standard output, or None where it cannot be had."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout if ran.returncode == 0 else None


class Watch:
    """Samples ten times a second until it is closed."""

    def __init__(self, ordinal, wanted=True):
        self.samples, self.process = [], None
        if wanted and shutil.which("nvidia-smi"):
            query = f"--query-gpu={','.join(WATCHED)}"
            self.process = subprocess.Popen(
                ["nvidia-smi", "-i", str(ordinal), query, "--format=csv,noheader,nounits", "-lms", "100"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            try:
                self.samples.append((time.time(), [float(word) for word in values(line)]))
            except ValueError:
                continue

    def between(self, began, ended):
        """What the card did meanwhile: means, and of memory the most; None where nothing was sampled."""
        rows = [row for at, row in list(self.samples) if began <= at <= ended and len(row) == len(WATCHED)]
        if not rows:
            return None
        columns = list(zip(*rows))
        mean = {name: sum(column) / len(column) for name, column in zip(WATCHED, columns)}
        return {"busy": mean["utilization.gpu"] / 100, "memory_busy": mean["utilization.memory"] / 100,
                "memory_mib": max(columns[2]), "watts": mean["power.draw"], "sm_mhz": mean["clocks.sm"],
                "samples": len(rows)}

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
