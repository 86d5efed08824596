/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/soak/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/machine.h"

static const char *const words[PACED_WORDS] = PACED_WORD_LIST;

/* ---- Conditions ------------------------------------------------------------------------------ */

void watch_choose_lent(Watch *watch, Random *random, unsigned site, pid_t pid)
{
	*watch = (Watch){
		.site = site,
		.pid = pid,
		.kind = random_below(random, WATCH_KINDS),
		.a = 2 + random_below(random, 9),
		.b = random_below(random, 40),
		.parameter = random_below(random, 100),
		.fault_is_hit = random_one_in(random, 2),
		.enabled = true,
		.skip = random_one_in(random, 4) ? random_below(random, 50) : 0,
		.every = random_one_in(random, 4) ? 1 + random_below(random, 7) : 1,
		.limit = random_one_in(random, 4) ? 1 + random_below(random, 60) : 0,
	};
	/* what a lent filter's condition does not know where it is attached */
	if (watch->kind == WATCH_LOAD)
		watch->kind = WATCH_REMAINDER;
}

void watch_choose(Watch *watch, Random *random, unsigned site, uint64_t address, pid_t pid)
{
	watch_choose_lent(watch, random, site, pid);
	watch->address = address;
	if (random_one_in(random, WATCH_KINDS))
		watch->kind = WATCH_LOAD;
	watch->enabled = !random_one_in(random, 4);
	watch->capture_bytes = random_one_in(random, 3) ? 1 + random_below(random, 64) : 0;
}

void watch_condition(const Watch *watch, char *text, size_t size)
{
	static const char number[] = "{\"reg\":\"" ARG1 "\"}";

	switch (watch->kind) {
	case WATCH_REMAINDER:
		snprintf(text, size, "{\"==\":[{\"%%\":[%s,%" PRIu64 "]},%" PRIu64 "]}", number,
			 watch->a, watch->b % watch->a);
		return;
	case WATCH_BELOW_PARAMETER:
		snprintf(text, size, "{\"<\":[%s,{\"param\":\"max\"}]}", number);
		return;
	case WATCH_RANGE:
		snprintf(text, size, "{\"in\":[%s,%" PRIu64 ",%" PRIu64 "]}", number, watch->b,
			 watch->b + watch->a);
		return;
	case WATCH_NESTED:
		snprintf(text, size,
			 "{\"or\":[{\"and\":[{\">\":[%s,%" PRIu64 "]},{\"!\":{\"&\":[%s,1]}}]},"
			 "{\"masked\":[%s,3,3]}]}",
			 number, watch->b, number, number);
		return;
	case WATCH_DIVISION:
		snprintf(text, size, "{\"==\":[{\"/\":[100,{\"%%\":[%s,%" PRIu64 "]}]},100]}",
			 number, watch->a);
		return;
	case WATCH_WORD:
		snprintf(text, size, "{\"string-equals\":[{\"reg\":\"" ARG2 "\"},\"%s\"]}",
			 words[watch->b % PACED_WORDS]);
		return;
	case WATCH_REGISTERS:
		snprintf(text, size, "{\"registers\":{\"" ARG1 "\":%" PRIu64 "}}", watch->b);
		return;
	case WATCH_LOAD:
		/* the first letter; of a variable, what has just been stored, by one thread or by
		 * another: something that is always true of it */
		if (watch->site == WATCH_SITE_VARIABLE)
			snprintf(text, size,
				 "{\">=\":[{\"load\":\"s64\",\"at\":\"0x%" PRIx64 "\"},0]}",
				 watch->address);
		else
			snprintf(text, size,
				 "{\"==\":[{\"load\":\"u8\",\"at\":{\"reg\":\"" ARG2 "\"}},%d]}",
				 words[watch->b % PACED_WORDS][0]);
		return;
	case WATCH_PID:
		snprintf(text, size,
			 "{\"and\":[{\"==\":[{\"var\":\"pid\"},%d]},{\"<\":[%s,%" PRIu64 "]}]}",
			 watch->pid, number, watch->b);
		return;
	case WATCH_ALWAYS:
	case WATCH_KINDS:
		break;
	}
	snprintf(text, size, "1");
}

enum verdict {
	REJECTED,
	MATCHED,
	FAULT,
};

/* Of the i-th round. */
static enum verdict judge(const Watch *watch, uint64_t i)
{
	switch (watch->kind) {
	case WATCH_REMAINDER:
		return i % watch->a == watch->b % watch->a;
	case WATCH_BELOW_PARAMETER:
		return (int64_t)i < watch->parameter;
	case WATCH_RANGE:
		return i >= watch->b && i <= watch->b + watch->a;
	case WATCH_NESTED:
		return (i > watch->b && i % 2 == 0) || i % 4 == 3;
	case WATCH_DIVISION:
		if (i % watch->a == 0)
			return FAULT;
		return i % watch->a == 1;
	case WATCH_WORD:
		return i % PACED_WORDS == watch->b % PACED_WORDS;
	case WATCH_REGISTERS:
		return i == watch->b;
	case WATCH_LOAD:
		return watch->site == WATCH_SITE_VARIABLE ||
		       words[i % PACED_WORDS][0] == words[watch->b % PACED_WORDS][0];
	case WATCH_PID:
		return i < watch->b;
	case WATCH_ALWAYS:
	case WATCH_KINDS:
		break;
	}
	return MATCHED;
}

void watch_spec(const Watch *watch, char *text, size_t size)
{
	char condition[512], capture[160] = "";

	watch_condition(watch, condition, sizeof(condition));
	if (watch->capture_bytes)
		snprintf(capture, sizeof(capture),
			 ",\"memory\":[{\"at\":{\"reg\":\"" ARG2 "\"},\"length\":%u}],\"stack\":4",
			 watch->capture_bytes);
	snprintf(text, size,
		 "{\"address\":\"0x%" PRIx64 "\",%s\"condition\":%s,\"on-fault\":\"%s\","
		 "\"skip\":%" PRIu64 ",\"every\":%" PRIu64 ",\"limit\":%" PRIu64
		 ",\"enabled\":%s%s,"
		 "\"capture\":{\"registers\":[\"" ARG1 "\"]%s}}",
		 watch->address, watch->site == WATCH_SITE_VARIABLE ? "\"access\":\"write\"," : "",
		 condition, watch->fault_is_hit ? "hit" : "reject", watch->skip, watch->every,
		 watch->limit, watch->enabled ? "true" : "false",
		 watch->kind == WATCH_BELOW_PARAMETER ? ",\"parameters\":{\"max\":50}" : "",
		 capture);
}

bool watch_may_record(const Watch *watch, uint64_t number)
{
	enum verdict verdict = judge(watch, number);

	/* its parameter may have been another at that time */
	if (watch->kind == WATCH_BELOW_PARAMETER)
		return true;
	return verdict == MATCHED || (verdict == FAULT && watch->fault_is_hit);
}

/* ---- The tally ------------------------------------------------------------------------------- */

void watch_enable(Watch *watch)
{
	watch->enabled = true;
	watch->accepted = 0;
	watch->reported = 0;
	watch->limited = false;
}

/* What becomes of n more that the condition is true of. Return: how many of them are hits. */
static uint64_t let_through(const Watch *watch, uint64_t n)
{
	uint64_t through = 0;

	for (uint64_t nth = watch->accepted; nth < watch->accepted + n; nth++) {
		if (nth >= watch->skip && (nth - watch->skip) % watch->every == 0)
			through++;
	}
	if (watch->limit && watch->reported + through > watch->limit)
		through = watch->limit - watch->reported;
	return through;
}

static void add(const Watch *watch, const WatchCounts *to, const uint64_t rounds[PACED_THREADS],
		WatchCounts *ret, uint64_t *ret_matched)
{
	uint64_t matched = 0, evaluated = 0, faults = 0, hits;

	for (int thread = 0; thread < PACED_THREADS; thread++) {
		evaluated += rounds[thread];
		for (uint64_t i = 0; i < rounds[thread]; i++) {
			enum verdict verdict = judge(watch, i);

			faults += verdict == FAULT;
			matched += verdict == MATCHED || (verdict == FAULT && watch->fault_is_hit);
		}
	}
	hits = let_through(watch, matched);
	*ret = (WatchCounts){
		.traps = to->traps + evaluated,
		.evaluated = to->evaluated + evaluated,
		.hits = to->hits + hits,
		.rejected = to->rejected + evaluated - matched,
		.withheld = to->withheld + matched - hits,
		.faults = to->faults + faults,
	};
	*ret_matched = matched;
}

void watch_ran(Watch *watch, const PacedPage *page, bool complete)
{
	WatchCounts before = watch->expected;
	uint64_t matched, unused;

	if (!watch->enabled)
		return;
	add(watch, &before, page->ended[watch->site], &watch->least, &unused);
	add(watch, &before, page->begun[watch->site], &watch->most, &matched);
	watch->expected = complete ? watch->least : watch->most;
	watch->accepted += matched;
	watch->reported += watch->most.hits - before.hits;
	if (watch->limit && watch->reported >= watch->limit)
		watch->limited = true;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool between(uint64_t least, uint64_t value, uint64_t most)
{
	return least <= value && value <= most;
}

static bool agree(const Watch *watch, const WatchCounts *counts, bool exact)
{
	const WatchCounts *most = &watch->most;
	/* What the filter was never shown may have been anything. */
	uint64_t lost = counts->lost - watch->lost;
	WatchCounts least = {0};

	if (exact)
		least = watch->least;
	if (exact && !watch->limited && !between(least.traps, counts->traps, most->traps))
		return false;
	if (watch->limited)
		return between(least.hits > lost ? least.hits - lost : 0, counts->hits, most->hits);
	if (lost && (watch->skip || watch->every > 1 || watch->limit))
		return counts->hits <= most->hits + lost;
	return between(least.evaluated > lost ? least.evaluated - lost : 0, counts->evaluated,
		       most->evaluated) &&
	       between(least.hits > lost ? least.hits - lost : 0, counts->hits, most->hits) &&
	       between(least.rejected > lost ? least.rejected - lost : 0, counts->rejected,
		       most->rejected) &&
	       between(least.withheld > lost ? least.withheld - lost : 0, counts->withheld,
		       most->withheld) &&
	       between(least.faults > lost ? least.faults - lost : 0, counts->faults, most->faults);
}

static int print_counts(char *text, size_t size, const char *name, const WatchCounts *counts)
{
	return snprintf(text, size,
			"%s: traps %" PRIu64 " evaluated %" PRIu64 " hits %" PRIu64
			" rejected %" PRIu64 " withheld %" PRIu64 " faults %" PRIu64
			" dropped %" PRIu64 " lost %" PRIu64 "; ",
			name, counts->traps, counts->evaluated, counts->hits, counts->rejected,
			counts->withheld, counts->faults, counts->dropped, counts->lost);
}

const char *watch_compare(Watch *watch, const WatchCounts *counts, bool exact)
{
	static char text[2048];
	bool sums = counts->evaluated == counts->hits + counts->rejected + counts->withheld &&
		    counts->traps == counts->evaluated + counts->lost;
	int n;

	if (!sums || !agree(watch, counts, exact)) {
		n = snprintf(text, sizeof(text), "%s%s: ", sums ? "" : "the counts do not add up, ",
			     exact ? "exactly" : "at most");
		n += print_counts(text + n, sizeof(text) - (size_t)n, "least", &watch->least);
		n += print_counts(text + n, sizeof(text) - (size_t)n, "most", &watch->most);
		n += print_counts(text + n, sizeof(text) - (size_t)n, "is", counts);
		watch_spec(watch, text + n, sizeof(text) - (size_t)n);
		return text;
	}
	watch->expected = *counts;
	watch->lost = counts->lost;
	watch->compared = *counts;
	watch->least = watch->expected;
	watch->most = watch->expected;
	return NULL;
}
