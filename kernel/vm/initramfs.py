# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes an initramfs: files of our choice, and the shared libraries that programs among them need.

Nothing of the tree is written to the disk but the archive (cpio's "newc" format, gzipped), so that it
can hold device-like modes and owners without being root.
"""

import gzip
import os
import pathlib
import re
import stat
import subprocess


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def needs(path):
    """The libraries and the interpreter that an ELF file names, and its own search path."""
    text = subprocess.run(
        ["readelf", "--wide", "--dynamic", "--program-headers", path],
        capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"},
    ).stdout
    libraries = re.findall(r"\(NEEDED\).*\[(.*)\]", text)
    interpreter = re.findall(r"Requesting program interpreter: (.*)\]", text)
    runpath = re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", text)
    return libraries, interpreter, runpath[0].split(":") if runpath else []


class Initramfs:
    """A tree in memory: path in it -> (mode, contents)."""

    def __init__(self, sysroot, triplet):
        self.sysroot = pathlib.Path(sysroot)
        self.triplet = triplet
        self.entries = {}
        for name in ("dev", "proc", "sys", "run", "tmp", "root", "etc", "bin", "lib"):
            self.add_directory(name)

    def add_directory(self, path):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.add_directory(parent)
        self.entries.setdefault(path, (stat.S_IFDIR | 0o755, b""))

    def _put(self, path, mode, contents):
        path = path.strip("/")
        self.add_directory(os.path.dirname(path) or "root")
        self.entries[path] = (mode, contents)

    def add_text(self, path, text, mode=0o644):
        self._put(path, stat.S_IFREG | mode, text.encode())

    def add_link(self, path, target):
        self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def add_file(self, path, source):
        """A file with the libraries that it needs, which must all be found."""
        source = pathlib.Path(source)
        mode = 0o755 if os.access(source, os.X_OK) or ".so" in source.name else 0o644
        self._put(path, stat.S_IFREG | mode, source.read_bytes())
        if not is_elf(source):
            return
        libraries, interpreters, runpath = needs(source)
        for interpreter in interpreters:
            if interpreter.strip("/") not in self.entries:
                self.add_file(interpreter, self._in_sysroot(interpreter))
        for library in libraries:
            if self._comes_with(path, runpath, library):
                continue
            self.add_library(library)

    def add_library(self, name):
        place = f"lib/{self.triplet}/{name}"
        if place not in self.entries:
            self.add_file(place, self._find_library(name))

    def add_tree(self, path, source, wanted):
        """The files below `source` for which wanted(path below it) is true; links as links."""
        source = pathlib.Path(source)
        for file in sorted(source.rglob("*")):
            below = file.relative_to(source)
            if any(part.endswith(".p") for part in below.parts) or not wanted(str(below)):
                continue
            if file.is_symlink():
                self.add_link(f"{path}/{below}", os.readlink(file))
            elif file.is_file():
                self.add_file(f"{path}/{below}", file)

    def _comes_with(self, path, runpath, library):
        """Whether the file's own search path, which is relative to it, is to hold it."""
        return any("$ORIGIN" in entry for entry in runpath) and library.startswith(
            ("libbpcond", "liblocation"))

    def _in_sysroot(self, path):
        """A file of the sysroot, links in it followed within it."""
        found = self.sysroot / path.strip("/")
        while found.is_symlink() and os.path.isabs(os.readlink(found)):
            found = self.sysroot / os.readlink(found).strip("/")
        return found

    def _find_library(self, name):
        for directory in (f"lib/{self.triplet}", f"usr/lib/{self.triplet}",
                          f"usr/lib/{self.triplet}/systemd", "lib", "usr/lib"):
            found = self._in_sysroot(f"{directory}/{name}")
            if found.exists():
                return found
        raise FileNotFoundError(f"no {name} for {self.triplet} in {self.sysroot}")

    def write(self, path):
        """Writes the archive, whole or not at all."""
        part = f"{path}.part"
        with gzip.open(part, "wb", compresslevel=1) as out:
            for number, (name, (mode, contents)) in enumerate(
                    [*sorted(self.entries.items()), ("TRAILER!!!", (0, b""))], 1):
                encoded = name.encode() + b"\0"
                fields = (number, mode, 0, 0, 1, 0, len(contents), 0, 0, 0, 0, len(encoded), 0)
                header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
                out.write(header + b"\0" * (-len(header) % 4))
                out.write(contents + b"\0" * (-len(contents) % 4))
        os.replace(part, path)
