# SPDX-License-Identifier: GPL-2.0-or-later
"""Gets the kernels to be tested: Debian's by the names of their packages, and a small one of our own, built
from Debian's source package with and without the patch. All of it is kept in a cache directory and
not made twice: downloads by their names and versions, builds by a hash of all that goes into them.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PATCHES = HERE.parent / "patches" / "6.1"
SOURCE_PACKAGE = "linux-source-6.1"
# How each variant of the small kernel differs: patched, and lines of configuration.
VARIANTS = {
    "minimal": (False, ""),
    "minimal-patched": (True, ""),
    # Each of these options compiles all of it anew, which takes least without debug information. Without user
    # namespaces /proc proves who may debug whom.
    "minimal-no-btf": (False, "CONFIG_DEBUG_INFO_BTF=n\nCONFIG_DEBUG_INFO_DWARF4=n\n"
                              "CONFIG_DEBUG_INFO_NONE=y\nCONFIG_USER_NS=n\n"),
}


def order(package):
    """Sorts packages: what has to be built comes last, each after that of which it compiles the least anew."""
    return list(VARIANTS).index(package) + 1 if package in VARIANTS else 0


def say(text):
    print(f"test-kernels: {text}", file=sys.stderr, flush=True)


def run(command, log, **arguments):
    """Runs it with its output in the file `log`; shows the end of that when it fails."""
    with open(log, "ab") as out:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                              check=False, **arguments)
    if done.returncode != 0:
        tail = pathlib.Path(log).read_text(errors="replace").splitlines()[-30:]
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n" + "\n".join(tail))


def packages(cache, architecture, *names):
    """Downloads packages with what they depend on. Returns the paths of all of them."""
    done = subprocess.run([HERE / "packages.sh", architecture, cache, *names],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return [pathlib.Path(line) for line in done.stdout.splitlines()]


def unpack(package, directory):
    """Unpacks a package once, into a directory of its own name below `directory`."""
    target = directory / package.stem
    if not target.exists():
        part = directory / f"{package.stem}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "--extract", package, part], check=True)
        part.rename(target)
    return target


def debian_kernel(cache, architecture, name):
    """The image in the package that the package `name` stands for."""
    for package in packages(cache, architecture, name):
        if not package.name.startswith("linux-image-"):
            continue
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package],
                              stdout=subprocess.PIPE) as tar:
            listing = subprocess.run(["tar", "--list"], stdin=tar.stdout, capture_output=True,
                                     text=True, check=True).stdout
        images = [line for line in listing.splitlines() if line.startswith("./boot/vmlinuz-")]
        if not images:
            continue
        image = cache / "images" / f"{package.stem}.vmlinuz"
        if not image.exists():
            image.parent.mkdir(exist_ok=True)
            part = image.with_suffix(".part")
            with open(part, "wb") as out, subprocess.Popen(
                    ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as tar:
                subprocess.run(["tar", "--extract", "--to-stdout", images[0]], stdin=tar.stdout,
                               stdout=out, check=True)
            part.rename(image)
        return image
    raise RuntimeError(f"no kernel image comes with the package {name}:{architecture}")


class MinimalKernels:
    """Builds variants of the small kernel, one after the other, in one tree: what they share is
    compiled once."""

    def __init__(self, cache):
        self.cache = cache
        self.images = cache / "images"
        self.images.mkdir(parents=True, exist_ok=True)
        self.source_package = None
        self.tree = None
        self.log = cache / "kernel-build.log"

    def _source_package(self):
        if not self.source_package:
            self.source_package = [
                package for package in packages(self.cache, "amd64", SOURCE_PACKAGE)
                if package.name.startswith(SOURCE_PACKAGE + "_")][0]
        return self.source_package

    def _key(self, variant):
        patched, configuration = VARIANTS[variant]
        key = hashlib.sha256()
        key.update(self._source_package().name.encode())
        key.update((HERE / "minimal.config").read_bytes() + configuration.encode())
        for patch in sorted(PATCHES.glob("*.patch")) if patched else []:
            key.update(patch.read_bytes())
        return key.hexdigest()[:16]

    def image_name(self, variant):
        return self.images / f"{variant}-{self._key(variant)}.vmlinuz"

    def source(self):
        """The source tree, as Debian has it."""
        if not self.tree:
            package = unpack(self._source_package(), self.cache / "source")
            tree = package / "tree"
            if not tree.exists():
                say(f"unpacking {self._source_package().name}")
                part = package / "tree.part"
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                subprocess.run(["tar", "--extract", "--strip-components=1",
                                f"--directory={part}", "--file",
                                next((package / "usr/src").glob("linux-source-*.tar.*"))],
                               check=True)
                part.rename(tree)
            self.tree = tree
        return self.tree

    def _patch(self, *arguments):
        for patch in sorted(PATCHES.glob("*.patch")):
            run(["patch", "--strip=1", "--forward", f"--input={patch}", *arguments], self.log,
                cwd=self.source())

    def build(self, variant):
        """Return: the image, built if need be."""
        image = self.image_name(variant)
        # Who else tests kernels at this time builds in the same tree.
        with open(self.cache / "kernel-build.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return image if image.exists() else self._build(variant, image)

    def _build(self, variant, image):
        patched, configuration = VARIANTS[variant]
        tree, output = self.source(), self.cache / "build"
        self.log.unlink(missing_ok=True)
        say(f"building the kernel {variant}")
        output.mkdir(exist_ok=True)
        fragment = output / "fragment.config"
        fragment.write_text((HERE / "minimal.config").read_text() + configuration)
        make = ["make", "--silent", f"--jobs={os.cpu_count()}", f"O={output}"]
        environment = {**os.environ, "KCONFIG_ALLCONFIG": str(fragment),
                       "KBUILD_BUILD_TIMESTAMP": "1970-01-01", "KBUILD_BUILD_USER": "bpcond",
                       "KBUILD_BUILD_HOST": "bpcond"}
        if patched:
            self._patch()
        try:
            run([*make, "allnoconfig"], self.log, cwd=tree, env=environment)
            self._check_configuration(output, fragment)
            run([*make, "bzImage"], self.log, cwd=tree, env=environment)
        finally:
            if patched:
                self._patch("--reverse")
        part = image.with_suffix(".part")
        shutil.copyfile(output / "arch/x86/boot/bzImage", part)
        part.rename(image)
        return image

    @staticmethod
    def _check_configuration(output, fragment):
        """An option whose own conditions are not met is dropped without a word."""
        have = set((output / ".config").read_text().splitlines())
        wanted = dict(line.split("=", 1) for line in fragment.read_text().splitlines()
                      if line.startswith("CONFIG_"))
        for option, value in wanted.items():
            if value != "n" and f"{option}={value}" not in have:
                raise RuntimeError(f"{option}={value} cannot be had in this kernel")
            if value == "n" and f"{option}=y" in have:
                raise RuntimeError(f"{option} cannot be left out of this kernel")

    def check_patches(self):
        """Runs the kernel's own checker over the patches. Return: its complaints, "" when clean."""
        complaints = ""
        for patch in sorted(PATCHES.glob("*.patch")):
            # From stdin: a file below version control would be checked as a source file. Without
            # history the commits that are named cannot be looked up.
            done = subprocess.run(
                ["perl", self.source() / "scripts/checkpatch.pl", "--no-tree", "--no-signoff",
                 "--strict", "--terse", "--no-summary", "--ignore", "UNKNOWN_COMMIT_ID", "-"],
                stdin=open(patch, encoding="utf-8"), capture_output=True, text=True, check=False,
                cwd=self.source())
            complaints += done.stdout if done.returncode else ""
        return complaints
