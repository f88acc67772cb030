/*
 * Release of shares by custodians whose replicas lag, against a patient who takes her
 * consent back. What it shows, what it leaves out, and how to run it: README.md.
 *
 * N custodians, F of them faulty; T shares open a record; Q receipts make a revocation
 * (or an erasure) certain. Set by -D, as are the variants:
 *   NO_WALL_CLOCK  custodians judge a session's end by block time alone
 *   NO_LEASE       custodians serve from a replica however old its last block is
 */

#ifndef N
#define N 4
#endif
#ifndef F
#define F 1
#endif
#ifndef T
#define T 3
#endif
#ifndef Q
#define Q 3
#endif

#ifndef BLOCKS
#define BLOCKS 4	/* the ledger decides at most so many blocks: 3 or 4 */
#endif
#define HORIZON 3	/* time runs from 0 to here, in units of the lease */
#define LEASE   1	/* a replica whose last block is older serves nobody */
#define EXPIRY  2	/* the session's last instant */

/*
 * The promises S1, S2, S4 and S6 of README.md by their number; with -DONLY=n no other is
 * checked. 8 and 9 are no promises but must be found broken, or the model shows nothing:
 * a reader never opens a record, a patient never gets her certificate.
 */
#ifdef ONLY
#define PROMISE(n, holds) assert(n != ONLY || (holds))
#else
#define PROMISE(n, holds) assert(n > 6 || (holds))
#endif

/* The ledger. Blocks are numbered from 1; block 0 stands for the empty replica. */
byte decided;			/* blocks decided so far: consensus itself is taken as safe */
byte stamp[BLOCKS + 1];		/* their block times */
byte granted;			/* the block that grants the session, 0 if none yet */
byte ended;			/* the block that revokes the consent or erases the record, 0 if none yet */
byte now;

/*
 * Honest custodians differ only in how many blocks their replica has and in what they
 * handed out, so the model counts them by that instead of naming them: the same runs,
 * far fewer states.
 */
#define KEPT   0	/* handed out nothing */
#define EARLY  1	/* handed its share to the reader before the certificate */
#define LATE   2	/* ... after it */
#define CLASS(blocks, gave) ((blocks) * 3 + (gave))
byte honest[(BLOCKS + 1) * 3];

byte silent = F;		/* faulty custodians that have not leaked yet */
byte shares;			/* shares the reader has */
byte late;			/* ... of them got after the certificate */
bool certain;			/* the patient holds Q receipts */

#define BEHIND(b) (honest[CLASS(b, KEPT)] + honest[CLASS(b, EARLY)] + honest[CLASS(b, LATE)])

/* Honest custodians that have not executed the end. */
#if BLOCKS == 3
#define UNAWARE (BEHIND(0) + (ended == 0 || ended > 1) * BEHIND(1) + (ended == 0 || ended > 2) * BEHIND(2) + (ended == 0) * BEHIND(3))
#else
#define UNAWARE (BEHIND(0) + (ended == 0 || ended > 1) * BEHIND(1) + (ended == 0 || ended > 2) * BEHIND(2) + \
	(ended == 0 || ended > 3) * BEHIND(3) + (ended == 0) * BEHIND(4))
#endif
#define RECEIPTS (F + (N - F) - UNAWARE)	/* the faulty sign anything */

#ifdef NO_WALL_CLOCK
#define LIVE(b) (stamp[b] <= EXPIRY)
#else
#define LIVE(b) (now <= EXPIRY)
#endif

#ifdef NO_LEASE
#define FRESH(b) (true)
#else
#define FRESH(b) (now <= stamp[b] + LEASE)
#endif

/* What an honest custodian with b blocks checks before it hands out its share. */
#define MAY(b) (granted != 0 && granted <= b && (ended == 0 || ended > b) && LIVE(b) && FRESH(b))

inline receive() {
	shares++;
	if
	:: certain -> late++
	:: else
	fi;
	PROMISE(1, shares < T || granted != 0);
	PROMISE(2, late < T);
	PROMISE(8, shares < T)
}

#define EXECUTE(b, gave) \
	:: atomic { b < decided && honest[CLASS(b, gave)] > 0 -> \
		honest[CLASS(b, gave)]--; honest[CLASS(b + 1, gave)]++ }

#define RELEASE(b) \
	:: atomic { honest[CLASS(b, KEPT)] > 0 && MAY(b) -> \
		PROMISE(4, now <= EXPIRY); \
		PROMISE(4, ended == 0 || now <= stamp[ended] + LEASE); \
		honest[CLASS(b, KEPT)]--; \
		honest[CLASS(b, (certain -> LATE : EARLY))]++; \
		receive() }

init {
	atomic { honest[CLASS(0, KEPT)] = N - F }

end:	do
	/* Consensus decides a block: nothing, the grant, or (after it) the end. The chain may also stall. */
	:: atomic { decided < BLOCKS ->
		decided++;
		stamp[decided] = now;
		if
		:: true
		:: granted == 0 -> granted = decided
		:: granted != 0 && ended == 0 -> ended = decided
		fi }

	:: atomic { now < HORIZON -> now++ }

	/* A replica executes its next block, whenever it likes. */
	EXECUTE(0, KEPT)
	EXECUTE(1, KEPT) EXECUTE(1, EARLY) EXECUTE(1, LATE)
	EXECUTE(2, KEPT) EXECUTE(2, EARLY) EXECUTE(2, LATE)
	RELEASE(1) RELEASE(2) RELEASE(3)
#if BLOCKS > 3
	EXECUTE(3, KEPT) EXECUTE(3, EARLY) EXECUTE(3, LATE)
	RELEASE(4)
#endif

	/* A faulty custodian leaks its share, whenever it likes. */
	:: atomic { silent > 0 -> silent--; receive() }

	/* The patient counts receipts. From here on, who could still serve is too few. */
	:: atomic { !certain && ended != 0 && RECEIPTS >= Q ->
		certain = true;
		PROMISE(6, F + UNAWARE < T);
		PROMISE(9, false) }
	od
}
