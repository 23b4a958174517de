"""The same random weights in the form that each contestant reads; made once, kept under the folder of the run.

    checkpoint   bf16 as transformers reads it              lapidary model synthesize --as-checkpoint
    int4, int8   bundles of lapidary                        lapidary model export
    int4-genai   the graphs of int4 for onnxruntime-genai   genai_graph.py (int8-genai alike)
    q8_0, q4_0   GGUF files                                 llama.cpp's converter and quantiser

Q4_0 is made from Q8_0 and not from bf16, which would take 9 GB more for a while; all maps of it are Q4_0, also the head,
for which llama.cpp would else choose 6 bits: that is its fastest form, with 4.5 bits a weight where the int4 bundle has 5.
"""
import ctypes
import json
import shutil
import subprocess
import sys

import zstandard

import llama_cpp_build
import shape

TOKENIZER = shape.ROOT / "fixtures" / "tokenizer" / "tokenizer.json.zst"


class Models:
    """What has been made, and makes what is missing."""

    def __init__(self, folder, lapidary, quick):
        self.folder, self.lapidary, self.quick = folder / ("quick" if quick else "full"), lapidary, quick
        self.downloads = folder / "llama.cpp"
        self.downloads.mkdir(parents=True, exist_ok=True)

    def get(self, name):
        """The path of a form; made if it is not there."""
        path = self.folder / name
        if not path.exists():
            print(f"making {path}", file=sys.stderr)
            aside = self.folder / f"{name}.part"
            remove(aside)
            self.make(name, aside)
            aside.rename(path)
        return path

    def make(self, name, path):
        """Writes a form to `path`."""
        if name == "checkpoint":
            self.checkpoint(path)
        elif name in ("int4", "int8"):
            self.run("model", "export", self.get("checkpoint"), path, "--recipe", f"cpu-{name}")
        elif name.endswith("-genai"):
            import genai_graph
            genai_graph.package(self.get(name.removesuffix("-genai")), path, shape.config(self.quick))
        elif name == "q8_0.gguf":
            self.convert(path)
        elif name == "q4_0.gguf":
            quantise(self.get("q8_0.gguf"), path)
        else:
            raise SystemExit(f"no contestant reads `{name}`")

    def checkpoint(self, path):
        config = shape.write(self.folder / "e2b-text", self.quick)
        tokenizer = self.folder / "tokenizer.json"
        with TOKENIZER.open("rb") as packed, tokenizer.open("wb") as file:
            zstandard.ZstdDecompressor().copy_stream(packed, file)
        self.run("model", "synthesize", config, path, "--as-checkpoint", "--tokenizer", tokenizer)

    def run(self, *arguments):
        checked([self.lapidary, *map(str, arguments)])

    def convert(self, path):
        source = llama_cpp_build.build(self.downloads)
        checked([sys.executable, str(source / "convert_hf_to_gguf.py"), str(self.get("checkpoint")), "--outtype", "q8_0",
                 "--outfile", str(path)])


def quantise(source, path):
    """Q4_0 for all maps."""
    import llama_cpp
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.pure, settings.allow_requantize = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, True, True
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(path).encode(), ctypes.byref(settings))
    if failed:
        raise SystemExit(f"llama.cpp's quantiser gave {failed} for {source}: free some space, or delete that file")


def checked(command):
    """Runs a command; what it says is shown only when it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ran.stdout[-2000:]}{ran.stderr[-4000:]}")


def remove(path):
    """Whatever an interrupted run has left."""
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def describe(models, name):
    """Bytes of a form, for the table."""
    path = models.folder / name
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def stored(path):
    """An object of a JSON file."""
    return json.loads(path.read_text())
