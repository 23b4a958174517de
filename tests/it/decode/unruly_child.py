#!/usr/bin/env python3
"""A decoder child that misbehaves as its document tells it to: each line of the document is what to do at that unit.

ok: hand it over · die: end · hang: sleep for ever · other: another unit than promised · huge: claim 60000 x 60000
junk: bytes that are no message · once: die, but only the first child of this document · open-die, open-hang: before
any promise"""

import json
import os
import struct
import sys
import time

source, sink = sys.stdin.buffer, sys.stdout.buffer


def say(message):
    data = json.dumps(message).encode()
    sink.write(struct.pack("<I", len(data)) + data)
    sink.flush()


def hear():
    length = source.read(4)
    return json.loads(source.read(struct.unpack("<I", length)[0])) if len(length) == 4 else None


def die():
    print("the decoder met its end", file=sys.stderr, flush=True)
    os._exit(7)


def obey(path, number, deed, part):
    if deed == "once":
        marker = f"{path}.{number}"
        if os.path.exists(marker):
            deed = "ok"
        else:
            open(marker, "w").close()
            deed = "die"
    if deed == "die":
        die()
    if deed == "hang":
        time.sleep(3600)
    if deed == "junk":
        sink.write(b"\xff\xff\xff\xff junk")
        sink.flush()
        time.sleep(3600)
    if deed == "other":
        part = {"part": "whole"}
    side = 60_000 if deed == "huge" else 2
    say({"reply": "unit", "of": part, "form": {"form": "page", "width": side, "height": side, "layer": None}})
    sink.write(bytes(12))
    sink.flush()


while request := hear():
    deeds = open(request["path"]).read().split()
    if deeds[0] == "open-die":
        die()
    if deeds[0] == "open-hang":
        time.sleep(3600)
    parts = [{"part": "page", "number": n, "of": len(deeds)} for n in range(1, len(deeds) + 1)]
    say({"reply": "promise", "parts": parts})
    granted = hear()["granted"]
    for number in range(request["settled"], granted):
        obey(request["path"], number, deeds[number], parts[number])
    say({"reply": "done"})
