# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots the kernels of the file `kernels`, each in a virtual machine without KVM, and runs in each

- bpcond-kernel-test as init, and what it finds must be what the file says;
- the real daemon and bpcondctl with a real target (guest/check_daemon.sh);
- those of bpcondd's own integration tests that the file names: `all` are every program of
  tests/integration and the conditions in the kernel (tests/differential), but for what the file
  `left-out` says, with its reason.

Prints each kernel's features as a table, then `N passed, N failed, N skipped`. What cannot be had (a
package, a kernel that does not build, a machine that does not end) has failed, and so has a test that is left
out everywhere on a kind of kernel without the file saying so.

usage: test_kernels.py --arm64 BUILD SYSROOT BUILD CACHE [NAME...]
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import fetch_kernels
from fetch_kernels import say
from initramfs import Initramfs

HERE = pathlib.Path(__file__).resolve().parent
FEATURES = ("hardware-slots", "data-breakpoints", "suppress-sample", "suppress-signal",
            "suppress-sigtrap", "suppress-limit", "inherit-thread", "send-signal-thread",
            "kernel-accesses", "btf")
MACHINES = {
    "amd64": ["qemu-system-x86_64", "-machine", "pc", "-cpu", "max"],
    "arm64": ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"],
}
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
# The conditions in the kernel, fewer of them than ./run test has, and every time the same.
CONDITIONS = ("condition_table_kernel", "condition_limits:--random:10:--seed:1",
              "condition_differential:--cases:20000:--seed:1")
# How many checks bpcond-kernel-test makes, and which of them fail on a kernel that suppresses samples only.
KERNEL_CHECKS = 49
WITHOUT_SUPPRESSION = re.compile(
    ", rejected: (no SIGIO|no SIGTRAP|the limit is not spent|no POLL_HUP)$")
# For the tests there: a tenth of what they do very often, as a trap takes long; and nothing is skipped.
ENVIRONMENT = "BPCOND_TEST_PART=10 BPCOND_RACE_TRIES=30 BPCOND_MUST_WORK=1"
# Far beyond what it takes: a machine that hangs is ended.
BOOT_SECONDS = 120
TESTS_SECONDS = 3600
# Two at a time on two processors.
AT_A_TIME = max(2, (os.cpu_count() or 2) // 2)
USERS = "root:x:0:0::/root:/bin/sh\n" + "".join(
    f"{name}:x:{uid}:{uid}::/nonexistent:/bin/sh\n"
    for uid, name in ((990, "bpcondd"), (1001, "bpcond-test-a"), (1002, "bpcond-test-b")))


class Kernel:
    """A line of the file."""

    def __init__(self, line):
        self.name, self.architecture, self.package, failing, *features, tests = line.split()
        self.failing = int(failing)
        self.tests = tests
        self.features = dict(zip(FEATURES, features, strict=True))

    def kinds(self):
        """Each test runs on a kernel of each of these kinds, at least."""
        yield "with" if self.features["suppress-signal"] == "yes" else "without", "suppression"
        yield "on", self.architecture


class Report:
    """What came of one kernel."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.passed = 0
        self.skipped = 0
        self.failures = []
        self.found = {}
        self.programs = 0
        self.seconds = 0.0
        self.lock = threading.Lock()

    def check(self, good, text):
        if good:
            self.passed += 1
        else:
            self.failures.append(text)


def lines_of(name):
    lines = (HERE / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def read_kernels():
    return [Kernel(line) for line in lines_of("kernels")]


def name_of(word):
    """A test's name in the file `left-out`: its program's, without prefix and arguments."""
    return word.split(":")[0].removeprefix("test_")


class Plan:
    """Which tests run on which kernel."""

    def __init__(self, build, kernels):
        programs = sorted(path.name for path in (build / "tests/integration").glob("test_*")
                          if path.is_file() and os.access(path, os.X_OK))
        self.tests = {name_of(test): test for test in (*programs, *CONDITIONS)}
        self.kernels = [kernel for kernel in kernels if kernel.tests == "all"]
        self.left_out = set()
        for line in lines_of("left-out"):
            test, names, _reason = line.split(None, 2)
            self.left_out |= {(test, name) for name in names.split(",")}

    def is_left_out(self, test, kernel):
        return bool(self.left_out & {(test, kernel.name), (test, "*")})

    def mistakes(self):
        """What is wrong with the file `left-out`."""
        names = {kernel.name for kernel in self.kernels} | {"*"}
        for test, name in sorted(self.left_out):
            if test not in self.tests:
                yield f"left-out: there is no test {test}"
            if name not in names:
                yield f"left-out: no kernel {name} runs all tests"
        kinds = sorted({kind for kernel in self.kernels for kind in kernel.kinds()})
        for test in self.tests:
            for kind in kinds if (test, "*") not in self.left_out else ():
                if all(self.is_left_out(test, kernel) for kernel in self.kernels
                       if kind in kernel.kinds()):
                    yield f"{test} runs nowhere {' '.join(kind)}"

    def of(self, kernel):
        """The words for guest/init."""
        if kernel.tests == "-":
            names = []
        elif kernel.tests == "all":
            names = [name for name in self.tests if not self.is_left_out(name, kernel)]
        else:
            names = kernel.tests.split(",")
        return ["daemon", *(self.tests[name] for name in names)]


def make_root(architecture, build, sysroot, extra):
    """The file system of a test machine: the build, and what it needs to run."""
    root = Initramfs(sysroot, TRIPLETS[architecture])
    busybox = next(p for p in (sysroot / "bin/busybox", sysroot / "usr/bin/busybox",
                               *extra) if p.exists())
    root.add_file("bin/busybox", busybox)
    # Not its own shell, which runs applets whatever PATH says, and in which there is no C library to look at.
    applets = ("awk cat chmod cut date echo env false find grep head hostname id ip kill ln ls mkdir "
               "mkfifo mktemp mount ps readlink reboot rm sed seq sleep sort stat sync sysctl "
               "tail test timeout touch tr umount uname uniq wc")
    for applet in applets.split():
        root.add_link(f"bin/{applet}", "busybox")
    root.add_link("usr/bin", "../bin")
    # What tests run, as a user has it.
    for name, program in (("sh", "dash"), *((name, name) for name in (
            "busctl", "dbus-daemon", "setpriv", "true", "unshare"))):
        root.add_file(f"bin/{name}", next(
            (path for path in (sysroot / "usr/bin" / program, sysroot / "bin" / program)
             if path.exists()), sysroot / "usr/bin" / program))
    # The C library opens it by itself, to end a thread.
    root.add_library("libgcc_s.so.1")
    root.add_text("etc/passwd", USERS)
    root.add_text("etc/group", re.sub(r"^([^:]*):x:(\d+):.*$", r"\1:x:\2:", USERS, flags=re.M))
    root.add_text("etc/nsswitch.conf", "passwd: files\ngroup: files\n")
    root.add_text("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    root.add_text("init", (HERE / "guest/init").read_text(), 0o755)
    for script in (HERE / "guest").glob("*.sh"):
        root.add_text(f"guest/{script.name}", script.read_text(), 0o755)

    def is_wanted(name):
        folder = os.path.dirname(name)
        executable = os.access(build / name, os.X_OK) or ".so" in name
        return executable and folder in ("daemon", "tools", "client", "kernel", "examples",
                                         "tests/differential", "tests/integration",
                                         "tests/targets", "tests/support")

    root.add_tree("bpcond", build, is_wanted)
    return root


def make_test_initramfs(path, build):
    """Nothing but the kernel test, as init."""
    root = Initramfs("/nonexistent", "none")
    root.add_file("init", build / "kernel/bpcond-kernel-test")
    root.write(path)


# Two processors at the pace of this machine; or one whose time is counted in instructions, so that
# how busy this machine is cannot be seen from inside, and what sleeps takes no time. (With two, Linux 6.1
# does not come up that way.)
AT_ITS_PACE = ("-smp", "2")
BY_INSTRUCTIONS = ("-smp", "1", "-icount", "shift=2,sleep=off")


def boot(kernel, image, initramfs, processors, plan, seconds, log):
    """Runs a machine until it ends. Return: what it said, or None when it had to be ended."""
    command = [
        "nice", "-n", "10", *MACHINES[kernel.architecture], "-accel", "tcg", *processors,
        "-m", "1536", "-nographic", "-nodefaults", "-serial", "stdio", "-no-reboot",
        "-kernel", image, "-initrd", initramfs, "-append",
        f"console={CONSOLES[kernel.architecture]} panic=-1 loglevel=1 quiet "
        f"{ENVIRONMENT} PLAN={plan}",
    ]
    with open(log, "ab") as out:
        start = out.tell()
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True,
                           timeout=seconds)
            ended = True
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            out.write(f"\n{error}\n".encode())
            ended = False
    text = log.read_bytes()[start:].decode(errors="replace").replace("\r", "")
    return text if ended else None


def check_kernel_test(report, text):
    kernel = report.kernel
    planned = re.search(r"^1\.\.(\d+)$", text or "", re.M)
    if planned is None:
        report.check(False, "bpcond-kernel-test did not end")
        return
    report.found = dict(re.findall(r"^# feature (\S+) (\S+)$", text, re.M))
    lines = re.findall(r"^(not )?ok \d+ - (.*)$", text, re.M)
    report.check(int(planned[1]) == len(lines) == KERNEL_CHECKS,
                 f"bpcond-kernel-test made {len(lines)} of {KERNEL_CHECKS} checks")
    failing = [what for failed, what in lines if failed]
    report.found["failing"] = str(len(failing))
    report.check(len(failing) == kernel.failing,
                 f"{len(failing)} of the kernel test's checks failed, expected {kernel.failing}")
    for what in failing:
        report.check(WITHOUT_SUPPRESSION.search(what), f"kernel test: {what}")
    for feature, expected in kernel.features.items():
        found = report.found.get(feature, "missing")
        report.check(found == expected, f"{feature} is {found}, expected {expected}")


def check_part(report, text, name):
    """The TAP lines between the two marks of a part; a part without any is one case."""
    part = re.search(rf"^=== begin {name}$(.*?)^=== end {name} (\d+) (\S+) (\S+)$", text or "",
                     re.M | re.S)
    if not part:
        report.check(False, f"{name} did not end")
        return
    if name.startswith("condition"):
        report.check(part[2] == "0", f"{name} ended with status {part[2]}")
        return
    lines = re.findall(r"^(not )?ok (.*)$", part[1], re.M)
    if not lines:
        report.check(False, f"{name} said nothing")
    for failed, rest in lines:
        if "# SKIP" in rest:
            report.skipped += 1
        else:
            report.check(not failed, f"{name}: {rest}")
    planned = re.search(r"^1\.\.(\d+)", part[1], re.M)
    if planned is None or int(planned[1]) != len(lines):
        report.check(False, f"{name} ended early")
    elif part[2] != "0" and not any(failed for failed, _ in lines):
        report.check(False, f"{name} ended with status {part[2]}")


def run_kernel_test(report, image, initramfs, logs):
    log = logs / f"{report.kernel.name}.log"
    log.unlink(missing_ok=True)
    text = boot(report.kernel, image, initramfs, AT_ITS_PACE, "", BOOT_SECONDS, log)
    with report.lock:
        check_kernel_test(report, text)


def run_tests(report, image, initramfs, words, logs):
    start = time.monotonic()
    log = logs / f"{report.kernel.name}-tests.log"
    log.unlink(missing_ok=True)
    text = boot(report.kernel, image, initramfs, BY_INSTRUCTIONS, ",".join(words), TESTS_SECONDS,
                log)
    seconds = time.monotonic() - start
    with report.lock:
        passed, failed = report.passed, len(report.failures)
        for word in words:
            check_part(report, text, word.split(":")[0])
        report.programs = len(words)
        report.seconds = seconds
        say(f"{report.kernel.name}: {report.passed - passed} passed, "
            f"{len(report.failures) - failed} failed in {seconds:.0f} s")


def print_table(reports):
    names = [report.kernel.name for report in reports]
    width = max(len(name) for name in names) + 2
    rows = [*FEATURES, "failing"]
    print(f"{'':20}" + "".join(name.rjust(width) for name in names))
    for row in rows:
        label = "kernel test: failing" if row == "failing" else row
        print(f"{label:20}" + "".join(
            report.found.get(row, "?").rjust(width) for report in reports))
    print(f"{'programs run':20}" + "".join(str(report.programs).rjust(width)
                                           for report in reports))
    print(f"{'passed':20}" + "".join(str(report.passed).rjust(width) for report in reports))
    print(f"{'failed':20}" + "".join(str(len(report.failures)).rjust(width)
                                     for report in reports))
    print(f"{'seconds':20}" + "".join(f"{report.seconds:.0f}".rjust(width)
                                      for report in reports))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("cache", type=pathlib.Path)
    parser.add_argument("--arm64", nargs=2, type=pathlib.Path, metavar=("BUILD", "SYSROOT"),
                        required=True)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    start = time.monotonic()
    cache = arguments.cache.resolve()
    logs = arguments.build / "kernel-logs"
    for directory in (cache, logs):
        directory.mkdir(parents=True, exist_ok=True)

    builds = {"amd64": (arguments.build, pathlib.Path("/")), "arm64": tuple(arguments.arm64)}
    every = read_kernels()
    kernels = [kernel for kernel in every
               if not arguments.names or kernel.name in arguments.names]
    unknown = set(arguments.names) - {kernel.name for kernel in every}
    if unknown:
        parser.error(f"there is no kernel {', '.join(sorted(unknown))}; there are "
                     f"{', '.join(kernel.name for kernel in every)}")
    plan = Plan(arguments.build, every)
    minimal = fetch_kernels.MinimalKernels(cache)
    roots = {}
    for architecture in {kernel.architecture for kernel in kernels}:
        build, sysroot = builds[architecture]
        extra = []
        if architecture == "amd64":
            extra = [fetch_kernels.unpack(package, cache / "unpacked") / "bin/busybox"
                     for package in fetch_kernels.packages(cache, "amd64", "busybox-static")
                     if package.name.startswith("busybox-static_")]
        whole, small = logs / f"root-{architecture}.gz", logs / f"test-{architecture}.gz"
        make_root(architecture, build, sysroot, extra).write(whole)
        make_test_initramfs(small, build)
        roots[architecture] = (whole, small)

    reports = [Report(kernel) for kernel in kernels]
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        running = []
        # The others run while some are built; what takes longest begins first.
        for report in sorted(reports, key=lambda report: (
                fetch_kernels.order(report.kernel.package), -len(plan.of(report.kernel)))):
            kernel = report.kernel
            try:
                if kernel.package.startswith("minimal"):
                    image = minimal.build(kernel.package)
                else:
                    image = fetch_kernels.debian_kernel(cache, kernel.architecture, kernel.package)
            except (RuntimeError, OSError, subprocess.CalledProcessError, IndexError) as error:
                with report.lock:
                    report.check(False, f"this kernel could not be tested: {error}")
                continue
            whole, small = roots[kernel.architecture]
            running.append(pool.submit(run_tests, report, image, whole, plan.of(kernel), logs))
            running.append(pool.submit(run_kernel_test, report, image, small, logs))
        for future in running:
            future.result()

    print_table(reports)
    passed = sum(report.passed for report in reports)
    skipped = sum(report.skipped for report in reports)
    failures = [f"{report.kernel.name}: {text}" for report in reports
                for text in report.failures]
    failures += plan.mistakes()
    if any(kernel.package == "minimal-patched" for kernel in kernels):
        complaints = minimal.check_patches()
        passed += not complaints
        if complaints:
            failures.append(f"checkpatch: {complaints}")
    if failures:
        print("\nfailed:")
        print("\n".join(failures))
        print(f"(what the machines said is in {logs})")
    print(f"wall time: {time.monotonic() - start:.0f} s")
    print(f"{passed} passed, {len(failures)} failed, {skipped} skipped")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
