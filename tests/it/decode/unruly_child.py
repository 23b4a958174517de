#!/usr/bin/env python3
"""A decoder child that misbehaves as its document tells it to: each line of the document is what to do at that unit.

ok: hand it over · die: end · die:FILE end, with a letter more in FILE · hang: sleep for ever · other: another unit than
promised · huge: claim 60000 x 60000 · air: claim more in the shared memory than it holds · last: lay it in the shared memory,
hear no more, and end · junk: bytes that are no message · once:FILE die, but only once: FILE is made · lost: say that
ffmpeg was ended from outside · lost:FILE say so, but only once: FILE is made · babble: show progress for ever · open-die,
open-hang: before any promise"""

import json
import os
import struct
import sys
import time
from socket import recv_fds
from socket import socket as Socket

# Unbuffered: descriptors come between the bytes.
socket, sink = Socket(fileno=os.dup(0)), sys.stdout.buffer


def say(message):
    data = json.dumps(message).encode()
    sink.write(struct.pack("<I", len(data)) + data)
    sink.flush()


def read(count):
    data = b""
    while len(data) < count and (more := socket.recv(count - len(data))):
        data += more
    return data


def hear():
    length = read(4)
    return json.loads(read(struct.unpack("<I", length)[0])) if len(length) == 4 else None


def document():
    (descriptor,) = recv_fds(socket, 1, 1)[1]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.fdopen(descriptor).read()


def die():
    print("the decoder met its end", file=sys.stderr, flush=True)
    os._exit(7)


def obey(number, deed, part):
    deed, _, marker = deed.partition(":")
    if deed == "once":
        if os.path.exists(marker):
            deed = "ok"
        else:
            open(marker, "w").close()
            deed = "die"
    if deed == "die":
        if marker:
            with open(marker, "a") as deaths:
                deaths.write("x")
        die()
    if deed == "lost" and not os.path.exists(marker):
        if marker:
            open(marker, "w").close()
        fault = {"kind": "child_died", "message": "ffmpeg was ended by signal 9", "hint": "", "limit": None}
        return say({"reply": "unit_fault", "of": part, "fault": fault})
    if deed == "hang":
        time.sleep(3600)
    while deed == "babble":
        say({"reply": "heartbeat"})
        time.sleep(0.01)
    if deed == "junk":
        sink.write(b"\xff\xff\xff\xff junk")
        sink.flush()
        time.sleep(3600)
    if deed == "other":
        part = {"part": "whole"}
    if deed == "last":
        os.pwrite(shared, bytes(12), 0)
        os.close(0)
        socket.close()
    side = {"huge": 60_000, "air": 4_000}.get(deed, 2)
    form = {"form": "page", "width": side, "height": side, "layer": None}
    say({"reply": "unit", "of": part, "form": form, "shared": deed in ("air", "last")})
    if deed == "last":
        die()
    sink.write(bytes(12))
    sink.flush()


shared = recv_fds(socket, 1, 1)[1][0] if hear()["shares"] else None
say({"reply": "raised", "reached": {"level": "none", "missing": []}})
while request := hear():
    deeds = document().split()
    if deeds[0] == "open-die":
        die()
    if deeds[0] == "open-hang":
        time.sleep(3600)
    parts = [{"part": "page", "number": n, "of": len(deeds)} for n in range(1, len(deeds) + 1)]
    say({"reply": "promise", "parts": parts})
    granted = hear()["units"]
    for number in range(request["settled"], granted):
        obey(number, deeds[number], parts[number])
    say({"reply": "done"})
