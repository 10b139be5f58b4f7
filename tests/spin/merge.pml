/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: proofs - one page-table entry, the engine that exchanges it, and hardware that sets
 * A and D in it and goes on using what its TLB holds (laws 1 and 4; docs/proofs.md).
 *
 * The model of protocol/pvbatch/merge.h, of exchange() in hypervisor/engine/apply.c and of the
 * flush in hypervisor/engine/flush.c. Two CPUs read and write the page as they like; a third
 * does two operations on its entry, any of: other permissions, clean by a commit, clean by a
 * mask that reports. What is recorded as dirty is copied when the flush is over.
 *
 * mutant PLAIN_STORE: the commit stores what the guest wanted, without the merge
 * mutant NO_COMPARE: the merged value is stored whatever is there by then
 * mutant ADD_ONLY: the merge keeps all A and D, as PRESERVE_AD does: nothing is ever cleaned
 * mutant UNION_LATE: the result of a mask is read before the exchange, not with it
 * mutant NO_FLUSH: no flush
 * mutant FLUSH_FIRST: the flush comes before the update
 * mutant FLUSH_ONE: the flush leaves a CPU out
 * mutant NO_WAIT: the flush does not wait for what is under way
 * mutant COPY_EARLY: recorded pages are copied before the flush
 */
#define CPUS 2
#define ACCESSES 2 /* of each CPU */
#define OPERATIONS 2

#define W 1 /* writable */
#define A 2
#define D 4
#define AD (A | D)

byte pte = W;

/* Each CPU's TLB for this page, and whether an access is between its walk and its end. */
bool valid[CPUS], writable[CPUS], dirty[CPUS], busy[CPUS];

byte page;      /* how often it was written */
byte copied;    /* page, when it was last copied */
bool read_only; /* write-protected, flush included */
byte finished;

proctype cpu(byte me)
{
	byte n;
	bool write;

	do
	:: n == ACCESSES -> break
	:: n < ACCESSES ->
		n++;
		if
		:: write = true
		:: write = false
		fi;
		/* What the TLB allows is done without a look at the entry. */
		if
		:: atomic { valid[me] && (!write || (writable[me] && dirty[me])) ->
			busy[me] = true }
		:: atomic { !(valid[me] && (!write || (writable[me] && dirty[me]))) ->
			valid[me] = false;
			if
			:: write && !(pte & W) -> goto fault
			:: else
			fi;
			pte = pte | A | (write -> D : 0);
			valid[me] = true;
			writable[me] = pte & W;
			dirty[me] = pte & D;
			busy[me] = true }
		fi;
		atomic {
			if
			:: write ->
				page++;
				assert(!read_only)
			:: else
			fi;
			busy[me] = false
		}
fault:		skip
	od;
	finished++
}

inline flush()
{
#ifdef NO_FLUSH
	skip
#else
	i = 0;
	do
	:: i == CPUS -> break
#ifdef FLUSH_ONE
	:: i == 1 -> i++
	:: i != 1 && i < CPUS ->
#else
	:: i < CPUS ->
#endif
#ifdef NO_WAIT
		valid[i] = false;
#else
		/* Acknowledged between two accesses, not in the middle of one. */
		atomic { !busy[i] -> valid[i] = false };
#endif
		i++
	od
#endif
}

/* The law itself: no bit goes that nobody has seen; what was seen and cleared, goes. */
inline exchanged(seen)
{
	assert(!(cur & ~val & AD & ~(seen)));
	assert(!(val & AD & old & ~new))
}

inline commit()
{
	cur = pte;
	do
	:: true ->
#if defined(PLAIN_STORE)
		val = new;
#elif defined(ADD_ONLY)
		val = new | (cur & AD);
#else
		val = new | (cur & ~old & AD);
#endif
		if
#if defined(PLAIN_STORE) || defined(NO_COMPARE)
		:: atomic { cur = pte; pte = val; exchanged(old); break }
#else
		:: atomic { pte == cur -> pte = val; exchanged(old); break }
		:: atomic { pte != cur -> cur = pte }
#endif
		fi
	od
}

inline mask()
{
	cur = pte;
#ifdef UNION_LATE
	was = cur;
#endif
	do
	:: true ->
		val = cur & ~D;
		if
		:: atomic { pte == cur -> pte = val; break }
		:: atomic { pte != cur -> cur = pte }
		fi
	od;
#ifndef UNION_LATE
	was = cur
#endif
}

/* What was recorded is copied; then nobody may have written what nobody hears of. */
inline copy()
{
	atomic {
		if
		:: was & D -> copied = page
		:: else
		fi
	}
}

inline heard()
{
	assert((pte & D) || copied == page)
}

active proctype cleaner()
{
	byte n, i, old, new, cur, val, was;

	atomic {
		i = 0;
		do
		:: i == CPUS -> break
		:: i < CPUS -> run cpu(i); i++
		od
	};
	do
	:: n == OPERATIONS -> break
	:: n < OPERATIONS ->
		n++;
		was = 0;
		if
		:: /* other permissions */
			old = pte;
			new = old ^ W;
			atomic {
				if
				:: new & W -> read_only = false
				:: else
				fi
			};
#ifdef FLUSH_FIRST
			flush();
			commit();
#else
			commit();
			flush();
#endif
			atomic {
				if
				:: !(new & W) -> read_only = true
				:: else
				fi
			}
		:: /* clean by a commit: what start saw is recorded */
			old = pte;
			new = old & ~AD;
			was = old;
#ifdef FLUSH_FIRST
			flush();
			commit();
			copy();
#elif defined(COPY_EARLY)
			commit();
			copy();
			flush();
#else
			commit();
			flush();
			copy();
#endif
			atomic { !busy[0] && !busy[1] -> heard() }
		:: /* clean by a mask that reports */
#ifdef FLUSH_FIRST
			flush();
			mask();
			copy();
#elif defined(COPY_EARLY)
			mask();
			copy();
			flush();
#else
			mask();
			flush();
			copy();
#endif
			atomic { !busy[0] && !busy[1] -> heard() }
		fi
	od;
	finished == CPUS;
	heard()
}
