"""Carries the programs and ONNX Runtime to a machine without a network, small and in pieces.

    python3 benches/gpu/parcel.py pack OUT --lapidary PROGRAM --bench PROGRAM --native FOLDER [--card 90] [--load 50]
    python3 benches/gpu/parcel.py unpack TO FROM...

`pack` makes folders OUT/load-1, OUT/load-2 and so on of so many MiB at most, for whoever may carry no more at once.
`--card` keeps of ONNX Runtime's CUDA provider only the code for cards of that compute capability (90: H100, H200),
which leaves a third of it to carry; without it the provider goes whole. CUDA's own libraries are not packed: where
PyTorch runs on a card they are there, and `prepare.sh` links them.

`unpack` takes what has arrived so far, checks every piece by its SHA-256, and makes each file of which all pieces
are there. It ends with 0 when nothing is missing, and with 3 when some files wait for a later load.
"""
import argparse
import concurrent.futures
import hashlib
import json
import lzma
import os
import pathlib
import struct
import sys

PIECE = 16 << 20
"""Bytes of a piece before it is packed."""

PROVIDER = "libonnxruntime_providers_cuda.so"
LIBRARIES = ("libonnxruntime.so", "libpdfium.so", "libonnxruntime_providers_shared.so", PROVIDER)
"""Of the folder of native libraries, in the order in which they are of use."""

LIST = "parcel.json"

FATBIN = 0xBA55ED50
"""What a container of code for several cards begins with."""


def pack(options):
    """Programs first: models can be made before the libraries are whole."""
    wanted = [("bin/lapidary", options.lapidary), ("bin/gpu", options.bench)]
    wanted += [(f"native/{name}", options.native / name) for name in LIBRARIES]
    options.out.mkdir(parents=True, exist_ok=True)
    if any(options.out.iterdir()):
        sys.exit(f"parcel.py: `{options.out}` is not empty")
    listed, pieces = {"card": options.card, "versions": versions(options.native), "files": {}}, []
    for name, path in wanted:
        data = path.read_bytes()
        if name.endswith(PROVIDER) and options.card:
            data = of_one_card(data, options.card)
        made = packed(name, data)
        listed["files"][name] = {"bytes": len(data), "sha256": digest(data), "pieces": [piece for piece, _ in made]}
        pieces += made
        print(f"{name}: {len(data) / 2**20:.1f} MiB, packed {sum(len(body) for _, body in made) / 2**20:.1f}", flush=True)
    loads = load(options.out, pieces, options.load << 20)
    for number in range(1, loads + 1):
        (options.out / f"load-{number}" / LIST).write_text(json.dumps(listed, indent=1) + "\n")
    print(f"{loads} loads in {options.out}")


def versions(native):
    """Which package each of these libraries came from, as the installation has noted."""
    note = native / "installed.json"
    known = json.loads(note.read_text()) if note.exists() else {}
    return {package: entry["version"] for package, entry in known.items() if set(LIBRARIES) & set(entry["files"])}


def packed(name, data):
    """Names and bytes of its pieces, packed side by side."""
    starts = range(0, len(data), PIECE)
    with concurrent.futures.ProcessPoolExecutor() as pool:
        bodies = list(pool.map(squeeze, (bytes(data[start:start + PIECE]) for start in starts)))
    stem = name.replace("/", ".")
    return [({"file": f"{stem}.{index:03}.xz", "sha256": digest(body)}, body) for index, body in enumerate(bodies)]


def squeeze(data):
    return lzma.compress(data, preset=9)


def load(out, pieces, most):
    """Spreads the pieces, in their order, over as many folders as it takes."""
    number, room = 0, 0
    for piece, body in pieces:
        if len(body) > room:
            number, room = number + 1, most
            (out / f"load-{number}").mkdir()
        room -= len(body)
        (out / f"load-{number}" / piece["file"]).write_bytes(body)
    return number


def digest(data):
    return hashlib.sha256(data).hexdigest()


def of_one_card(data, capability):
    """The same library with code for one kind of card only, where it has some for that kind: each container is cut
    down to it, and what becomes free is filled with zeros, so that everything else stays where it is."""
    made = bytearray(data)
    start, size = section(data, b".nv_fatbin")
    place, end, kept_any = start, start + size, False
    while place + 16 <= end:
        magic, _, head, length = struct.unpack_from("<IHHQ", data, place)
        if magic != FATBIN:
            place += 8
            continue
        body = place + head
        kept = b"".join(entry for of, entry in entries(data, body, body + length) if of == capability)
        if kept:
            made[body:body + length] = kept + bytes(length - len(kept))
            struct.pack_into("<Q", made, place + 8, len(kept))
            kept_any = True
        place = body + length
    if not kept_any:
        sys.exit(f"parcel.py: the provider has no code for cards of compute capability {capability}")
    return bytes(made)


def entries(data, place, end):
    """Compute capability and bytes of each entry of a container."""
    while place < end:
        head, size = struct.unpack_from("<IQ", data, place + 4)
        capability, = struct.unpack_from("<I", data, place + 28)
        yield capability, data[place:place + head + size]
        place += head + size


def section(data, wanted):
    """Where a section of a 64-bit ELF file lies, and its bytes."""
    table, = struct.unpack_from("<Q", data, 40)
    width, count, names = struct.unpack_from("<HHH", data, 58)
    heads = [struct.unpack_from("<IIQQQQ", data, table + width * index) for index in range(count)]
    texts = heads[names][4]
    for name, _, _, _, offset, size in heads:
        begin = texts + name
        if data[begin:data.index(b"\0", begin)] == wanted:
            return offset, size
    sys.exit(f"parcel.py: there is no section {wanted.decode()}: this provider cannot be cut down, pack it without --card")


def unpack(options):
    arrived = {path.name: path for folder in options.sources for path in sorted(folder.rglob("*"))}
    if LIST not in arrived:
        sys.exit(f"parcel.py: no {LIST} in {', '.join(map(str, options.sources))}")
    listed, waiting = json.loads(arrived[LIST].read_text()), []
    for name, facts in listed["files"].items():
        target = options.to / name
        if target.exists() and target.stat().st_size == facts["bytes"]:
            continue
        missing = [piece["file"] for piece in facts["pieces"] if piece["file"] not in arrived]
        if missing:
            waiting.append(f"{name} waits for {len(missing)} of {len(facts['pieces'])} pieces")
            continue
        restore(target, facts, arrived)
        print(f"{target}", flush=True)
    (options.to / "native").mkdir(parents=True, exist_ok=True)
    (options.to / "native" / "origin.json").write_text(json.dumps(listed["versions"]) + "\n")
    print("\n".join(waiting) or "nothing is missing")
    sys.exit(3 if waiting else 0)


def restore(target, facts, arrived):
    """Writes a file aside and renames it once its hash is right."""
    pieces = [(arrived[piece["file"]], piece["sha256"]) for piece in facts["pieces"]]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        data = b"".join(pool.map(expand, pieces))
    if digest(data) != facts["sha256"]:
        sys.exit(f"parcel.py: {target.name} is not what was packed")
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    aside.write_bytes(data)
    os.chmod(aside, 0o755)
    aside.rename(target)


def expand(piece):
    path, wanted = piece
    body = path.read_bytes()
    if digest(body) != wanted:
        raise SystemExit(f"parcel.py: {path} was damaged on the way")
    return lzma.decompress(body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    packing = kinds.add_parser("pack")
    packing.add_argument("out", type=pathlib.Path)
    for name in ("lapidary", "bench", "native"):
        packing.add_argument(f"--{name}", required=True, type=pathlib.Path)
    packing.add_argument("--card", type=int, help="compute capability without its point, such as 90")
    packing.add_argument("--load", type=int, default=50, help="MiB that can be carried at once")
    packing.set_defaults(work=pack)
    unpacking = kinds.add_parser("unpack")
    unpacking.add_argument("to", type=pathlib.Path)
    unpacking.add_argument("sources", type=pathlib.Path, nargs="+")
    unpacking.set_defaults(work=unpack)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
