/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: proofs - one CPU's queue: what is committed, merged, read again, submitted; an
 * interrupt that needs the host in the middle of it; and another CPU behind the same lock
 * (laws 2, 3 and 6; docs/proofs.md).
 *
 * The model of guest/core/queue.c, lazy.c, submit.c and interrupt.c where the host applies. A
 * commit adds 1 to its PTE. Every program of a few operations in two lock sections is tried,
 * with an interrupt between any two steps. When the lock is free the PTEs hold what was
 * committed, each commit applied once and in order; a read returns it in between.
 *
 * mutant NO_CLOSE: what the fast path has added to a run is not in its entry when it goes
 * mutant NO_DRAIN: an entry is read again without a look into the queue
 * mutant DRAIN_BELOW: that look forgets what the fast path has added
 * mutant LEAVE_KEEPS: the lock is dropped with commits in the queue
 * mutant FULL_DROPS: what does not fit into the queue is dropped
 * mutant GAP: a commit is merged that is not next to the one before
 * mutant OTHER_CHANGE: a commit is merged that changes another value
 * mutant IRQ_KEEPS_HEADER: an interrupt leaves its header in the buffer
 * mutant IRQ_KEEPS_ENTRY: an interrupt leaves its entry in the buffer
 * mutant IRQ_QUEUES: an interrupt uses the queue it has interrupted
 */
#define PTES 3     /* of the locked table */
#define IRQ_PTE 3  /* the interrupt's own */
#define CAPACITY 2 /* entries */
#define SECTIONS 2
#define OPERATIONS 4 /* in all of them */
#define INTERRUPTS 1
#define NONE 255

#define COMMIT 0
#define CHANGED 1

byte pte[PTES + 1], want[PTES + 1];
byte synced; /* the interrupt's PTE, as the host knows it */
bool locked, in_irq, finished;

/* The registered buffer. */
byte hdr_nr;
byte first[CAPACITY], number[CAPACITY], old[CAPACITY], op[CAPACITY];
bool answered[CAPACITY];

/* The CPU's private part: struct pvb_cpu. */
byte nr, low, high;
byte run_entry = NONE, run_end, run_next = NONE, run_old;

/* The host: all entries, in order, as they are at this moment. */
inline doorbell()
{
	atomic {
		h = 0;
		do
		:: h == hdr_nr -> break
		:: h < hdr_nr ->
			if
			:: op[h] == CHANGED -> synced = pte[first[h]]
			:: op[h] == COMMIT ->
				s = first[h];
				do
				:: s == first[h] + number[h] -> break
				:: s < first[h] + number[h] ->
					assert(s < PTES && pte[s] == old[h]);
					pte[s]++;
					s++
				od
			fi;
			answered[h] = true;
			h++
		od;
		h = 0;
		s = 0
	}
}

inline close_run()
{
#ifndef NO_CLOSE
	if
	:: run_next != NONE ->
		number[run_entry] = number[run_entry] + run_next - run_end;
		run_end = run_next;
		run_next = NONE;
		if
		:: run_end > high -> high = run_end
		:: else
		fi
	:: else
	fi
#else
	run_next = NONE
#endif
}

inline submit()
{
	close_run();
	hdr_nr = nr;
	doorbell();
	/* What was not answered would be applied again, directly: as a conflict. */
	d_step {
		i = 0;
		do
		:: i == nr -> break
		:: i < nr ->
			assert(answered[i]);
			answered[i] = false;
			first[i] = 0;
			number[i] = 0;
			old[i] = 0;
			i++
		od;
		i = 0
	};
	d_step {
		nr = 0;
		low = 0;
		high = 0;
		run_entry = NONE;
		run_end = 0;
		run_old = 0;
		hdr_nr = 0
	}
}

inline arm(value)
{
	if
	:: run_end < PTES ->
		run_old = value;
		run_next = run_end
	:: else
	fi
}

inline append(slot, value, kind)
{
	i = nr;
	nr++;
	first[i] = slot;
	number[i] = 1;
	old[i] = value;
	op[i] = kind;
	run_entry = i;
	run_end = slot + 1;
	if
	:: nr == 1 || slot < low -> low = slot
	:: else
	fi;
	if
	:: nr == 1 || run_end > high -> high = run_end
	:: else
	fi
}

inline commit(slot, value)
{
	if
#ifdef OTHER_CHANGE
	:: slot == run_next -> run_next++
	:: slot != run_next ->
#else
	:: slot == run_next && value == run_old -> run_next++
	:: slot != run_next || value != run_old ->
#endif
		close_run();
		if
#ifdef GAP
		:: run_entry != NONE && slot >= run_end && value == old[run_entry] ->
#else
		:: run_entry != NONE && slot == run_end && value == old[run_entry] ->
#endif
			number[run_entry]++;
			run_end++;
			if
			:: run_end > high -> high = run_end
			:: else
			fi;
			arm(value)
		:: else ->
			if
			:: nr == CAPACITY ->
#ifdef FULL_DROPS
				nr = 0;
				run_entry = NONE
#else
				submit()
#endif
			:: else
			fi;
			append(slot, value, COMMIT);
			arm(value)
		fi
	fi;
	if
	:: run_next != NONE && run_next >= PTES -> close_run()
	:: else
	fi
}

/* Is the entry at @slot in the queue? Then the queue goes first. */
inline drain(slot)
{
	if
#ifdef NO_DRAIN
	:: true
#elif defined(DRAIN_BELOW)
	:: slot >= high || slot < low
	:: slot < high && slot >= low ->
#else
	:: (slot >= high && (run_next == NONE || slot >= run_next)) || slot < low
	:: (slot < high || (run_next != NONE && slot < run_next)) && slot >= low ->
#endif
#ifndef NO_DRAIN
		close_run();
		d_step {
			i = 0;
			do
			:: i == nr -> break
			:: i < nr ->
				found = found || (slot >= first[i] && slot < first[i] + number[i]);
				i++
			od;
			i = 0
		};
		if
		:: found ->
			found = false;
			submit()
		:: else
		fi
#endif
	fi
}

active proctype cpu() provided (!in_irq)
{
	byte sections, operations, slot, value, i, h, s;
	bool found;

	do
	:: sections == SECTIONS -> break
	:: sections < SECTIONS ->
		sections++;
		atomic { !locked -> locked = true };
		do
		:: break
		:: operations < OPERATIONS ->
			operations++;
			atomic { select(slot : 0 .. PTES - 1) };
			drain(slot);
			value = pte[slot];
			assert(value == want[slot]);
			if
			:: skip /* only read */
			:: atomic { want[slot]++ };
				commit(slot, value)
			fi
		od;
#ifndef LEAVE_KEEPS
		if
		:: nr -> submit()
		:: else
		fi;
#endif
		slot = 0;
		value = 0;
		locked = false
	od;
	finished = true
}

/* It cannot wait, and what it has interrupted stands still. */
active proctype interrupt()
{
	byte n, h, s, i, saved_nr, saved_first, saved_number, saved_old, saved_op;
	bool saved_answered;

	do
	:: n == INTERRUPTS -> break
	:: atomic { n < INTERRUPTS && !finished ->
			in_irq = true;
			n++
		};
		atomic {
			pte[IRQ_PTE]++;
			want[IRQ_PTE]++
		};
#ifdef IRQ_QUEUES
		if
		:: nr < CAPACITY -> append(IRQ_PTE, 0, CHANGED)
		:: else
		fi;
#else
		atomic {
			saved_nr = hdr_nr;
			saved_first = first[0];
			saved_number = number[0];
			saved_old = old[0];
			saved_op = op[0];
			saved_answered = answered[0];
			hdr_nr = 1;
			first[0] = IRQ_PTE;
			number[0] = 1;
			op[0] = CHANGED;
			answered[0] = false
		};
		doorbell();
		atomic {
			assert(answered[0] && synced == want[IRQ_PTE]);
#ifndef IRQ_KEEPS_HEADER
			hdr_nr = saved_nr;
#endif
#ifndef IRQ_KEEPS_ENTRY
			first[0] = saved_first;
			number[0] = saved_number;
			old[0] = saved_old;
			op[0] = saved_op;
			answered[0] = saved_answered
#endif
		};
#endif
		in_irq = false
	:: finished -> break
	od
}

/* Another CPU, with a queue of its own, of which nothing is to be seen here. */
active proctype other()
{
	byte n, i;

	do
	:: n == 1 -> break
	:: n < 1 ->
		n++;
		atomic {
			!locked -> locked = true;
			i = 0;
			do
			:: i == PTES -> break
			:: i < PTES -> assert(pte[i] == want[i]); i++
			od;
			/* One of two makes PTEs differ that were alike, or alike that differed. */
			if
			:: pte[1]++; want[1]++
			:: skip
			fi;
			locked = false
		}
	od;
	atomic { finished && !in_irq ->
		assert(pte[0] == want[0] && pte[1] == want[1] && pte[2] == want[2] &&
		       synced == want[IRQ_PTE])
	}
}
