/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: proofs - the loop over partial progress, the answers, and the repair of what the
 * host did not do (laws 4, 5 and 6; docs/proofs.md).
 *
 * The model of pvb_call_submit() and pvb_take_answers() in guest/core, against any host that
 * keeps the contract of docs/abi.md (it may stop after any PTE, refuse an entry anywhere, ask
 * for the call again, give up for good), and against one that keeps none: LIAR. With the
 * first every PTE is dealt with exactly once, entries and PTEs in order, and the flush comes
 * after the last of them. The second can hurt nobody but its guest, which must come to an end.
 *
 * mutant RESTART: the call after a partial one starts from the beginning
 * mutant SKIP_LOST: it starts at the entry, not at the PTE
 * mutant ENTRY_LOST: it starts behind the entry that was not finished
 * mutant NO_REPAIR: what the host has refused is forgotten
 * mutant REPAIR_ALL: an entry that was refused in the middle is repaired from its start
 * mutant FORGET_REST: after an error what was not answered is forgotten
 * mutant EARLY_FLUSH: the host's flush counts though the guest has repaired after it
 * mutant HOST_FLUSH_FIRST: the host flushes, then it writes
 * mutant ZERO_PROGRESS: a partial answer without progress is taken for one
 * mutant BEYOND_END: PTEs of an entry behind the last count as progress
 * mutant EAGAIN_FOREVER: a call is repeated as often as the host likes
 */
#define ENTRIES 3
#define PTES 5           /* of all entries */
#define AGAIN_MAX 2      /* 8 in guest/core */
#define CALLS_MAX (PTES + 1 + AGAIN_MAX) /* each is progress, or counted */

#define DONE 0
#define PARTIAL 1
#define EAGAIN 2
#define ERROR 3

#define ST_OK 0
#define ST_REFUSED 1
#define ST_PENDING 2

byte first[ENTRIES + 1]; /* of an entry's PTEs; entry i has those below first[i + 1] */

byte written[PTES]; /* how often, by host or guest */
byte next;          /* with an honest host: PTEs are written in order, by it */
bool stale;         /* a PTE has been written since the last flush */

/* The call: what the guest hands in, and what it gets back. */
byte start, off;
byte result, done, done_ptes;
byte status[ENTRIES], answered[ENTRIES];
byte calls;
bool honest;

inline host_write(pte)
{
	assert(!written[pte]);
	written[pte]++;
	stale = true
}

/* Any host that keeps the contract. */
inline keep_contract()
{
	e = start;
	p = off;
	if
	:: result = EAGAIN
	:: result = ERROR
	:: result = DONE;
#ifdef HOST_FLUSH_FIRST
		stale = false;
#endif
		/* One piece of work at least, then it may stop anywhere. */
		moved = false;
		do
		:: e == ENTRIES -> break
		:: e < ENTRIES && first[e] + p == first[e + 1] ->
			status[e] = ST_OK;
			answered[e] = p;
			e++;
			p = 0
		:: e < ENTRIES && first[e] + p < first[e + 1] ->
			if
			:: host_write(first[e] + p);
				p++;
				moved = true
			:: /* a conflict, or what the host does not do */
				status[e] = ST_REFUSED;
				answered[e] = p;
				e++;
				p = 0;
				moved = true
			:: moved ->
				result = PARTIAL;
				break
			fi
		od;
		done = e;
		done_ptes = p;
#ifdef HOST_FLUSH_FIRST
		skip
#else
		if
		:: result == DONE -> stale = false
		:: else
		fi
#endif
	fi
}

/* A host that says anything, and writes nothing: what counts is that the guest ends. */
inline lie()
{
	if
	:: result = DONE
	:: result = PARTIAL
	:: result = EAGAIN
	:: result = ERROR
	fi;
	select(done : 0 .. ENTRIES + 1);
	select(done_ptes : 0 .. 3)
}

inline doorbell()
{
	calls++;
	assert(calls <= CALLS_MAX);
	if
	:: honest -> keep_contract()
	:: else -> lie()
	fi
}

/* Is the answer PARTIAL one that goes on from somewhere further on? */
inline check_progress()
{
	ok = true;
	if
	:: done > ENTRIES || done < start -> ok = false
	:: else
	fi;
#ifndef ZERO_PROGRESS
	if
	:: done == start && done_ptes <= off -> ok = false
	:: else
	fi;
#endif
	if
	:: ok && done < ENTRIES && done_ptes >= first[done + 1] - first[done] -> ok = false
#ifndef BEYOND_END
	:: ok && done == ENTRIES && done_ptes -> ok = false
	:: ok && (done < ENTRIES -> done_ptes < first[done + 1] - first[done] : !done_ptes)
#else
	:: ok && (done == ENTRIES || done_ptes < first[done + 1] - first[done])
#endif
	:: !ok
	fi
}

/* From PTE @from of entry @e on: the guest's own exchange. */
inline repair(from)
{
	p = from;
	do
	:: first[e] + p >= first[e + 1] -> break
	:: first[e] + p < first[e + 1] ->
		assert(!honest || !written[first[e] + p]);
		written[first[e] + p]++;
		stale = true;
		repaired = true;
		p++
	od
}

inline take_answers()
{
	e = 0;
	do
	:: e == ENTRIES -> break
	:: e < ENTRIES ->
		st = ST_PENDING;
		n = (e == start -> off : 0);
		if
		:: e < start ->
			if
			:: honest ->
				st = status[e];
				n = answered[e]
			:: !honest ->
				/* As what it said before is not looked at before. */
				if
				:: st = ST_OK
				:: st = ST_REFUSED
				fi;
				if
				:: n = 0
				:: n = 1
				:: n = 9
				fi
			fi;
			/* An answer that contradicts itself says nothing. */
			if
			:: n > first[e + 1] - first[e] ||
			   (st == ST_OK && n < first[e + 1] - first[e]) ->
				st = ST_PENDING;
				n = 0
			:: else
			fi
		:: else
		fi;
#ifdef REPAIR_ALL
		if
		:: st == ST_REFUSED -> n = 0
		:: else
		fi;
#endif
		if
		:: first[e] + n == first[e + 1] -> skip
#ifdef NO_REPAIR
		:: first[e] + n < first[e + 1] && st == ST_REFUSED -> skip
		:: first[e] + n < first[e + 1] && st != ST_REFUSED -> repair(n)
#elif defined(FORGET_REST)
		:: first[e] + n < first[e + 1] && st == ST_PENDING -> skip
		:: first[e] + n < first[e + 1] && st != ST_PENDING -> repair(n)
#else
		:: first[e] + n < first[e + 1] -> repair(n)
#endif
		fi;
		e++
	od
}

active proctype guest()
{
	byte e, p, n, st, again;
	bool ok, moved, repaired, failed;

	first[0] = 0;
	/* Entries of one, of two and of all but these PTEs, in any order. */
	if
	:: first[1] = 1; first[2] = 3
	:: first[1] = 2; first[2] = 3
	:: first[1] = 2; first[2] = 4
	fi;
	first[3] = PTES;
	if
	:: honest = true
	:: honest = false
	fi;
	stale = true; /* what was written before the batch */
	do
	:: true ->
		doorbell();
		if
		:: result == DONE ->
			start = ENTRIES;
			off = 0;
			break
		:: result == EAGAIN && again < AGAIN_MAX ->
#ifndef EAGAIN_FOREVER
			again++
#else
			skip
#endif
		:: result == EAGAIN && again == AGAIN_MAX ->
			failed = true;
			break
		:: result == ERROR ->
			failed = true;
			break
		:: result == PARTIAL ->
			check_progress();
			if
			:: !ok ->
				failed = true;
				break
			:: ok ->
#ifdef RESTART
				start = 0;
				off = 0
#elif defined(ENTRY_LOST)
				start = (done < ENTRIES && done_ptes -> done + 1 : done);
				off = 0
#else
				start = done;
#ifdef SKIP_LOST
				off = 0
#else
				off = (done < ENTRIES -> done_ptes : 0)
#endif
#endif
			fi
		fi
	od;
	take_answers();
	/* Updates come first, then the flush: a repair was late for the host's. */
#ifdef EARLY_FLUSH
	if
	:: failed -> stale = false
	:: else
	fi;
#else
	if
	:: failed || repaired -> stale = false
	:: else
	fi;
#endif
	n = 0;
	do
	:: n == PTES -> break
	:: n < PTES ->
		assert(!honest || written[n] == 1);
		n++
	od;
	assert(!honest || !stale)
}
