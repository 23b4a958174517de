"""What hours of sound and film cost before the model: python benches/media.py LAPIDARY FFMPEG [--hours 2]

Makes a recording of that length in several formats, out of fixtures/sound/letter.mp3 over and over, and a film of it; has
`lapidary run` read each on one core, answered by a replayed empty transcript, so that decoding, listening for speech, resampling and
log-mel features are all there is; and prints processor seconds per second of sound, and the most memory that all processes
took together. Linux only."""
import argparse
import json
import pathlib
import resource
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
FORMATS = [
    ("MP3", "talk.mp3", ["-c:a", "copy"]),
    ("AAC", "talk.m4a", ["-c:a", "aac", "-b:a", "64k"]),
    ("FLAC, stereo, 44.1 kHz", "talk.flac", ["-c:a", "flac", "-ac", "2", "-ar", "44100"]),
    ("Opus", "talk.opus", ["-c:a", "libopus", "-b:a", "32k"]),
]
FILM = ("film, H.264 640 x 360 at 25/s, with AAC", "talk.mp4", ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-shortest"])
PIPELINE = """
name = "media"
model = "{root}/onnx/tiny"
[decode]
lanes = 1
sound = {{ cut = "pauses" }}
video = {{ {video} }}
[encode]
prompt = "Transcribe."
[generate]
slots = 1
[parse]
schema = "{root}/schemas/transcript.json"
"""


def family(pid):
    """A process and all below it."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                pass
    return found


def memory(pid):
    """Bytes of a process and all below it: their proportional shares, which count common pages once."""
    total = 0
    for one in family(pid):
        try:
            lines = pathlib.Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def measured(program, pipeline, answers, media, out):
    """Processor seconds and most bytes of a run."""
    command = ["taskset", "-c", "0", program, "--quiet", "run", pipeline, media, "--output", out, "--replay", answers]
    before, most = resource.getrusage(resource.RUSAGE_CHILDREN), 0
    process = subprocess.Popen(command)
    while process.poll() is None:
        most = max(most, memory(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"lapidary ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, most


def main():
    """Makes the files, then reads them."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("lapidary")
    words.add_argument("ffmpeg")
    words.add_argument("--hours", type=float, default=2.0)
    given = words.parse_args()
    seconds = given.hours * 3600
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        answers = folder / "answers.json"
        answers.write_text(json.dumps([{"text": "", "language": None}]))
        print("| recording | real-time factor, one core | most memory, MB |\n|---|---|---|")
        for place, (name, file, form) in enumerate([*FORMATS, FILM]):
            picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"] if file == FILM[1] else []
            loop = [given.ffmpeg, "-nostdin", "-loglevel", "error", *picture, "-stream_loop", "-1", "-i", ROOT / "fixtures/sound/letter.mp3"]
            subprocess.run([*loop, "-t", str(seconds), *form, folder / file], check=True)
            pipeline = folder / f"{place}.toml"
            pipeline.write_text(PIPELINE.format(root=ROOT, video="frames = 32, window = 60.0" if picture else "frames = 0"))
            spent, most = measured(given.lapidary, pipeline, answers, folder / file, folder / f"out{place}")
            print(f"| {name} | {spent / seconds:.4f} | {most / 1e6:.0f} |", flush=True)
            (folder / file).unlink()


if __name__ == "__main__":
    main()
