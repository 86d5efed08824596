/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "daemon/supported.h"

#define NEWER_KERNEL                                                                            \
	"that takes Linux 6.10 or later, or the patch that comes with bpcond (kernel/patches; " \
	"\"bpcondctl status\" shows what this kernel can do)"

int refuse_perf(Refusal *refusal, int error)
{
	int paranoid;

	if (read_perf_event_paranoid(&paranoid) == 0 && paranoid > 2)
		return refuse(
			refusal, REFUSED_NOT_SUPPORTED,
			"The kernel refuses perf events to bpcondd because "
			"kernel.perf_event_paranoid is %d; an administrator can allow them with: "
			"sysctl kernel.perf_event_paranoid=2",
			paranoid);
	return refuse(refusal, REFUSED_NOT_SUPPORTED,
		      "The kernel refused a hardware breakpoint on this process (%s); a security "
		      "module or the service's system call filter may forbid perf_event_open.",
		      strerror(-error));
}

int supported_spec(const Features *features, const Spec *spec, Refusal *refusal)
{
	if (features->perf_error < 0)
		return refuse_perf(refusal, features->perf_error);
	if (spec->access != SPEC_EXECUTE && !features->data_breakpoints && features->slots_taken)
		return refuse(
			refusal, REFUSED_NO_FREE_SLOT,
			"$.access: every debug register of this machine is taken, by what watches "
			"whole CPUs (perf does so for root), so that bpcondd cannot find out what "
			"data breakpoints do here; end that and call again a second later.");
	if (spec->access != SPEC_EXECUTE && !features->data_breakpoints)
		return refuse(
			refusal, REFUSED_NOT_SUPPORTED,
			"$.access: this kernel, or the machine, has no data breakpoints that a "
			"program can filter; use an execution breakpoint on the code that "
			"writes.");
	if (!spec->threads && !features->inherit_thread)
		return refuse(refusal, REFUSED_NOT_SUPPORTED,
			      "$.threads: this kernel does not extend breakpoints to threads that "
			      "start later (Linux 5.13 or later does); list the threads that run "
			      "now instead of \"all\".");
	if (spec->signal && !features->send_signal_thread)
		return refuse(refusal, REFUSED_NOT_SUPPORTED,
			      "$.signal: this kernel lets no program signal a thread (Linux 5.6 or "
			      "later does); leave it out and act on the hits.");
	if (spec->kernel_accesses && !features->btf)
		return refuse(
			refusal, REFUSED_NOT_SUPPORTED,
			"$.kernel-accesses: this kernel has no BTF (/sys/kernel/btf/vmlinux), "
			"without which the user's registers cannot be told from the kernel's; "
			"leave it out, or run a kernel built with CONFIG_DEBUG_INFO_BTF.");
	if (spec->kernel_accesses && !features->kernel_accesses)
		return refuse(refusal, REFUSED_NOT_SUPPORTED,
			      "$.kernel-accesses: on this machine the kernel's own accesses to "
			      "watched memory raise no trap (arm64 never reports them); leave it "
			      "out, and watch the calls that pass the buffer.");
	if (spec->events && !features->suppress_signal)
		return refuse(
			refusal, REFUSED_NOT_SUPPORTED,
			"$.events: on this kernel an event's descriptor signals rejected traps "
			"too: " NEWER_KERNEL "; leave it out and read the ring, or let the "
			"filter send a \"signal\".");
	return 0;
}

int supported_lent(const Features *features, bool with_ring, bool only_when_traced,
		   Refusal *refusal)
{
	if (features->perf_error < 0)
		return refuse_perf(refusal, features->perf_error);
	if (!features->btf)
		return refuse(refusal, REFUSED_NOT_SUPPORTED,
			      "%s: this kernel has no BTF (/sys/kernel/btf/vmlinux), without which "
			      "a lent filter cannot tell whose thread it runs in; run a kernel "
			      "built with "
			      "CONFIG_DEBUG_INFO_BTF.",
			      only_when_traced ? "only-when-traced" : "LendFilter");
	if (!with_ring &&
	    !(features->suppress_signal && features->suppress_sigtrap && features->suppress_limit))
		return refuse(
			refusal, REFUSED_NOT_SUPPORTED,
			"LendFilter: on this kernel rejected traps still send your event's "
			"signals and SIGTRAPs and use up its limit: " NEWER_KERNEL
			"; with \"hits-bytes\" the filter is lent, and its ring holds exactly "
			"the hits.");
	return 0;
}
