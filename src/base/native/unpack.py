"""Takes files out of a wheel. Arguments: the wheel, the folder to write into, and a plan as JSON:
{"licences": folder, "take": [[prefix of the member, name to write]], "shared": folder or null}
where an empty name keeps the member's own. Prints the written names as a JSON list."""

import json
import os
import posixpath
import shutil
import sys
import zipfile

wheel, folder, plan = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
written = []


def write(archive, member, name):
    target = os.path.join(folder, *name.split("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with archive.open(member) as source, open(target, "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    written.append(name)


def target_of(member):
    base = posixpath.basename(member)
    for prefix, name in plan["take"]:
        if member.startswith(prefix):
            return name or base
    if plan["shared"] and (".so" in base or base.endswith(".dll")):
        return plan["shared"] + "/" + base
    lower = member.lower()
    if "licen" in lower or "notice" in lower:
        return plan["licences"] + "/" + member.replace("..", "_").lstrip("/")
    return None


with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        name = None if entry.is_dir() else target_of(entry.filename)
        if name and name not in written:
            write(archive, entry, name)
print(json.dumps(written))
