#!/usr/bin/env bash
# Brings the measurement to a machine that has a card and no network.
#
#   benches/gpu/prepare.sh pack OUT [--card 90] [--load MIB]      where there is a network: builds, installs, packs
#   benches/gpu/prepare.sh unpack TO FROM...                      on the machine: unpacks what has arrived, links CUDA
#
# After `unpack`, `source TO/env.sh` and run benches/gpu/measure.py (benches/gpu/README.md says how). PYTHON names the
# interpreter whose packages hold CUDA's libraries (python3 unless told otherwise).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}

usage() { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

# The bench that cargo has built last.
newest_bench() { find "$1/deps" -maxdepth 1 -type f -name 'gpu-*' -perm -u+x -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-; }

pack() {
    local out=$1 target release native
    shift
    cd "$here/../.."
    target=${CARGO_TARGET_DIR:-target}
    release=$target/release
    native=${LAPIDARY_NATIVE:-$target/gpu-native}
    if [ -z "${NO_BUILD:-}" ]; then
        cargo build --release --package lapidary --bin lapidary --bench gpu
        "$release/lapidary" runtime install --cuda --dir "$native"
    fi
    "$python" "$here/parcel.py" pack "$out" --lapidary "$release/lapidary" --bench "$(newest_bench "$release")" \
        --native "$native" "$@"
}

# Folders that may hold CUDA's libraries: those of Python packages first, which are known to go together, then a toolkit's.
cuda_folders() {
    "$python" - <<'PY' || true
import glob, os, sys
for place in sys.path:
    for folder in sorted(glob.glob(os.path.join(place, "nvidia", "*", "lib"))):
        print(folder)
PY
    find /usr/local -maxdepth 3 -type d -path '*cuda*' \( -name lib64 -o -name lib \) 2>/dev/null || true
    echo /usr/lib/x86_64-linux-gnu
}

link_cuda() {
    local into=$1 folder file name
    mkdir -p "$into"
    while read -r folder; do
        for file in "$folder"/lib{cudart,cublas,cublasLt,cudnn,curand,cufft,nvrtc,nvJitLink}*.so.*; do
            name=$(basename "$file")
            # Names with one number behind `.so` are those that libraries ask for; nvrtc's tables have two.
            [[ $name =~ ^lib[A-Za-z_-]+\.so\.[0-9]+$ || $name =~ ^libnvrtc-builtins.*\.so\.[0-9]+\.[0-9]+$ ]] || continue
            [ -e "$file" ] && [ ! -e "$into/$name" ] && ln -s "$file" "$into/$name"
        done
    done < <(cuda_folders)
    return 0
}

# Where the driver's own library is, if the system does not find it by itself.
driver_folder() {
    ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1' && return 0
    local folder
    for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/wsl/lib /usr/lib64-nvidia; do
        [ -e "$folder/libcuda.so.1" ] && echo "$folder" && return 0
    done
    return 0
}

unpack() {
    local to=$1 waiting=0 driver
    shift
    mkdir -p "$to"
    to=$(cd "$to" && pwd)
    "$python" "$here/parcel.py" unpack "$to" "$@" || waiting=$?
    [ "$waiting" -eq 0 ] || [ "$waiting" -eq 3 ] || exit "$waiting"
    link_cuda "$to/native/cuda"
    driver=$(driver_folder)
    {
        printf 'export LAPIDARY_NATIVE=%q\n' "$to/native"
        printf 'export PATH=%q:$PATH\n' "$to/bin"
        # Nothing behind the colon would mean the folder that one stands in.
        [ -z "$driver" ] || printf 'export LD_LIBRARY_PATH=%q${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\n' "$driver"
    } >"$to/env.sh"
    echo "CUDA's libraries: $(find "$to/native/cuda" -type l | wc -l) linked, of these cudart: $(find "$to/native/cuda" -name 'libcudart*' -printf '%f ')"
    [ ! -x "$to/bin/lapidary" ] || "$to/bin/lapidary" --version
    return "$waiting"
}

case "${1:-}" in
    pack) [ $# -ge 2 ] || usage; shift; pack "$@" ;;
    unpack) [ $# -ge 3 ] || usage; shift; unpack "$@" ;;
    *) usage ;;
esac
