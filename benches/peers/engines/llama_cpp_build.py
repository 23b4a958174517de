"""llama.cpp from source: its Python package's source distribution holds all of it, the converter included.

It is built by cmake for this machine's own instructions. AMX is left out where gcc is older than 13: a build of gcc 12.2
stops at the first AMX instruction (measured on a Xeon with AMX).
"""
import os
import pathlib
import subprocess
import sys
import tarfile

VERSION = "0.3.36"
LEFT_OUT = ("LLAVA_BUILD", "LLAMA_BUILD_TOOLS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_SERVER")
NO_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


def build(folder):
    """Builds and installs into the environment that runs this, once; gives the folder of llama.cpp's source."""
    source = folder / f"llama_cpp_python-{VERSION}"
    archive = folder / f"llama_cpp_python-{VERSION}.tar.gz"
    if not archive.exists():
        pip("download", "--no-deps", "--no-build-isolation", "--no-binary", "llama-cpp-python", "--dest", str(folder),
            f"llama-cpp-python=={VERSION}")
    if not source.exists():
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    if not installed():
        print("building llama.cpp: six minutes on two cores", file=sys.stderr)
        pip("install", "--no-deps", "--no-build-isolation", "--no-cache-dir", str(archive), **settings())
    return source / "vendor" / "llama.cpp"


def installed():
    probe = [sys.executable, "-c", f"import llama_cpp; assert llama_cpp.__version__ == '{VERSION}'"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def settings():
    """Environment of the build."""
    tools = pathlib.Path(sys.executable).parent
    arguments = ["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", *(f"-D{name}=OFF" for name in LEFT_OUT)]
    if not amx_works():
        arguments += [f"-DCMAKE_C_FLAGS='{NO_AMX}'", f"-DCMAKE_CXX_FLAGS='{NO_AMX}'"]
    return {
        "CMAKE_ARGS": " ".join(arguments),
        "CMAKE_GENERATOR": "Ninja",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count()),
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    }


def amx_works():
    """True where there is no AMX to go wrong, or a compiler that knows it."""
    facts = pathlib.Path("/proc/cpuinfo")
    if not facts.exists() or "amx_tile" not in facts.read_text():
        return True
    version = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=False).stdout
    return version.split(".")[0].isdecimal() and int(version.split(".")[0]) >= 13


def pip(*arguments, **environment):
    """Runs pip; what it says is shown only when it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    ran = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ran.stdout[-4000:]}{ran.stderr[-4000:]}\n"
                         "llama.cpp needs a C++ compiler; `--only` with other names leaves it out")
