# SPDX-License-Identifier: GPL-2.0-or-later
"""What the headers promise and what the library exports are the same names, all versioned.

usage: check_exports.py libbpcond-client.so HEADER...
"""

import re
import subprocess
import sys

DECLARATION = re.compile(r"^[a-z][\w *]*?\b\**(bpcond_\w+)\(", re.M)


def declared(header):
    with open(header, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return {name for name in DECLARATION.findall(text) if "typedef" not in name}


def main(library, *headers):
    promised = set().union(*map(declared, headers))
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    exported = {line.split()[-1] for line in symbols.splitlines() if line.split()[-2] != "A"}
    wanted = {name + "@@BPCOND_0" for name in promised}
    for name in sorted(wanted - exported):
        print(f"in a header but not exported: {name}")
    for name in sorted(exported - wanted):
        print(f"exported but in no header: {name}")
    print(f"{len(promised)} functions")
    return 0 if wanted == exported and len(promised) > 30 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
