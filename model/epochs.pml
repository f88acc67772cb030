/*
 * A record while its custodians change: epoch E with OLD members 0 to 3 hands over to epoch
 * E+1 with members 1 to 4, so one member leaves, one joins, three stay. A session, by the
 * patient's grant or by a declared emergency, may be open across the flip; the record may be
 * erased, or the session ended, at any moment of it. What it shows and leaves out: README.md.
 *
 * n = 4, f = 1, t = Q = 3 in both epochs. Variants, each of which must break something:
 *   MIX            shares of both epochs are of one polynomial
 *   CERT_NEW_ONLY  after the flip a certificate counts the new committee alone
 *   CERT_OLD_ONLY  ... before the flip the old committee alone
 *   KEEP_OLD       old custodians go on serving after the flip
 *   TAKE_ERASED    new custodians take subshares of a record they know to be erased
 *   FLIP_EARLY     the flip waits for f confirmations instead of 2f+1
 *   NO_RELAY       subshares that did not arrive before the flip are lost
 *   BTG_UNCHECKED  an emergency looks past the tombstone
 *   BTG_UNOWED     the review becomes due by a transaction of its own
 *   CERT_NOT_TRIED a certificate forgets a committee whose resharing was abandoned
 *   KEEP_TRIED     who confirms a resharing keeps what it took over for the one before
 * and STAYER makes a member faulty that sits in both epochs, else the one that leaves and
 * the one that joins are. ABANDON (with STAYER) lets a first attempt to pass the shares to
 * members 0, 1, 2 and 4 come to nothing, at any moment; it has the erasure and no session.
 */

#define T 3
#define Q 3
#define MEMBERS 5
#define IN_OLD(m) ((m) < 4)
#define IN_NEW(m) ((m) > 0)

#ifdef STAYER
#define FAULTY(m) ((m) == 1)
#else
#define FAULTY(m) ((m) == 0 || (m) == 4)
#endif

/*
 * The promises by the number of the project's invariants (README.md). 10 to 13 are no
 * promises but must be found broken, or the model shows nothing.
 */
#ifdef ONLY
#define PROMISE(n, holds) assert(n != ONLY || (holds))
#else
#define PROMISE(n, holds) assert(n > 9 || (holds))
#endif

/* The ledger is its events in their order, numbered from 1; 0 means not yet. */
byte decided;
byte opened;		/* the session opens */
byte started;		/* the resharing starts */
byte tried;		/* an attempt before it starts, which that start abandons */
byte agreed;		/* the dealers whose subshares count are fixed */
byte flipped;		/* E+1 is in force */
byte ended;		/* the session ends, or the record is erased */
bool erasing;		/* ... which of both */
bool emergency;		/* the session is one of break-glass */
bool owed;		/* a review of it is due */

/* The members: how many events each replica has executed, what each has given away. */
byte pos[MEMBERS];
#define KEPT  0
#define EARLY 1		/* handed out before the certificate */
#define LATE  2		/* ... after it */
byte gave0[MEMBERS];	/* of its share of E */
byte gave1[MEMBERS];	/* of its share of E+1 */
bool dealt[MEMBERS];	/* of the faulty: their subshares of the record are on their way */
bool holds[MEMBERS];	/* it has combined a share of E+1 */
bool took[MEMBERS];	/* it has combined a share of the attempt that was abandoned */
bool certain;		/* the certificate is complete */
byte spare;

#define PAST(m, event)    (event != 0 && pos[m] >= event)
#define KNOWS_ERASED(m)   (erasing && PAST(m, ended))

#ifdef KEEP_OLD
#define HAS0(m) (IN_OLD(m) && (FAULTY(m) || !KNOWS_ERASED(m)))
#else
#define HAS0(m) (IN_OLD(m) && (FAULTY(m) || !(KNOWS_ERASED(m) || PAST(m, flipped))))
#endif
#define HAS1(m) (IN_NEW(m) && holds[m])

/*
 * The attempt that came to nothing. The faulty member deals for it and combines what there is; the
 * honest deal when they execute it, and combine until they know of the next one.
 */
#ifdef ABANDON
#define IN_TRIED(m)  ((m) != 3)
#define DEALTX(m)    BIT(tried != 0 && (FAULTY(m) || (PAST(m, tried) && !(erasing && ended != 0 && ended < tried))))
#define DEALERSX     (DEALTX(0) + DEALTX(1) + DEALTX(2) + DEALTX(3))
#define HASX(m)      (IN_TRIED(m) && (FAULTY(m) -> DEALERSX >= T : took[m]))
#define SIGNSX(m)    (IN_TRIED(m) && (FAULTY(m) || PAST(m, ended) || PAST(m, flipped) || SAID(m)))
#define TRY_HAS_A_PART (tried != 0 && tried < ended)
#ifdef CERT_NOT_TRIED
#define CERTIFIEDX   (!TRY_HAS_A_PART || (started != 0 && started < ended) || COUNT5(SIGNSX) >= Q)
#else
#define CERTIFIEDX   (!TRY_HAS_A_PART || COUNT5(SIGNSX) >= Q)
#endif
#ifdef KEEP_TRIED
#define DROPS(m)     (PAST(m, flipped) || KNOWS_ERASED(m))
#else
#define DROPS(m)     (PAST(m, flipped) || KNOWS_ERASED(m) || (IN_NEW(m) && PAST(m, agreed)))
#endif
#define OPENX        (COUNT5(HASX) >= T)
#else
#define CERTIFIEDX   true
#define DROPS(m)     false
#define OPENX        false
#endif

#ifdef BTG_UNCHECKED
#define SERVED(m) (PAST(m, opened) && !(PAST(m, ended) && !emergency))
#else
#define SERVED(m) (PAST(m, opened) && !PAST(m, ended))
#endif

#define BIT(b) ((b) -> 1 : 0)
#define COUNT4(p) (BIT(p(0)) + BIT(p(1)) + BIT(p(2)) + BIT(p(3)))
#define COUNT5(p) (COUNT4(p) + BIT(p(4)))

#define G0(m)  (gave0[m] != KEPT)
#define G1(m)  (gave1[m] != KEPT)
#define L0(m)  (gave0[m] == LATE)
#define L1(m)  (gave1[m] == LATE)
#ifdef MIX
#define OPEN(a, b) (COUNT5(a) + COUNT5(b) >= T)
#else
#define OPEN(a, b) (COUNT5(a) >= T || COUNT5(b) >= T)
#endif

/* Receipts. The faulty sign anything. Of E, who has executed the flip has destroyed its share too. */
#define SIGNS0(m) (IN_OLD(m) && (FAULTY(m) || PAST(m, ended) || PAST(m, flipped)))
#define SIGNS1(m) (IN_NEW(m) && (FAULTY(m) || PAST(m, ended)))
#define NEW_HAS_A_PART (started != 0 && started < ended)
#if defined(CERT_NEW_ONLY)
#define CERTIFIED ((flipped != 0 || COUNT5(SIGNS0) >= Q) && (!NEW_HAS_A_PART || COUNT5(SIGNS1) >= Q))
#elif defined(CERT_OLD_ONLY)
#define CERTIFIED (COUNT5(SIGNS0) >= Q && (flipped == 0 || COUNT5(SIGNS1) >= Q))
#else
#define CERTIFIED (COUNT5(SIGNS0) >= Q && (!NEW_HAS_A_PART || COUNT5(SIGNS1) >= Q))
#endif

#define LEAKABLE0(m) (HAS0(m))
#define LEAKABLE1(m) (HAS1(m))

/*
 * The honest deal when they execute the start, and never a record that was erased before it;
 * a slower one is a replica that lags.
 */
#define DEALT(m) BIT((FAULTY(m) && dealt[m]) || (!FAULTY(m) && PAST(m, started) && !(erasing && ended < started)))
#define DEALERS (DEALT(0) + DEALT(1) + DEALT(2) + DEALT(3))

/*
 * Durability: the honest can open the record, now or when what was sent has arrived. Until the
 * flip the dealers send their subshares; afterwards every new custodian that has a share sends
 * on the sealed subshares of all.
 */
#define HONEST0(m) (IN_OLD(m) && !FAULTY(m) && HAS0(m))
#define RELAYS(m) (IN_NEW(m) && !FAULTY(m) && holds[m])
#ifdef NO_RELAY
#define ARRIVES (flipped == 0)
#else
#define ARRIVES (flipped == 0 || RELAYS(1) || RELAYS(2) || RELAYS(3) || RELAYS(4))
#endif
#define HONEST1(m) (IN_NEW(m) && !FAULTY(m) && (holds[m] || (agreed != 0 && DEALERS >= T && ARRIVES)))

#ifdef FLIP_EARLY
#define CONFIRMATIONS 1
#else
#define CONFIRMATIONS 3
#endif
/* Confirmations. An erased record is confirmed too: there is nothing to hold. */
#define SAID(m) (IN_NEW(m) && (FAULTY(m) || (PAST(m, agreed) && (holds[m] || KNOWS_ERASED(m)))))

/* The honest members of both epochs are alike; keeping them in order spares their permutations. */
#define CODE(m) (((pos[m] * 3 + gave0[m]) * 3 + gave1[m]) * 2 + holds[m])
inline order(a, b) {
	if
	:: CODE(a) < CODE(b) ->
		spare = pos[a]; pos[a] = pos[b]; pos[b] = spare;
		spare = gave0[a]; gave0[a] = gave0[b]; gave0[b] = spare;
		spare = gave1[a]; gave1[a] = gave1[b]; gave1[b] = spare;
		spare = holds[a]; holds[a] = holds[b]; holds[b] = spare;
		spare = 0
	:: else
	fi
}

inline check() {
	PROMISE(1, !OPEN(G0, G1) || opened != 0);
	PROMISE(2, !OPEN(L0, L1));
	PROMISE(6, !(certain && erasing) || !(OPEN(LEAKABLE0, LEAKABLE1) || OPENX));
	PROMISE(7, (ended != 0 && erasing) || COUNT5(HONEST0) >= T || COUNT5(HONEST1) >= T);
	PROMISE(8, opened == 0 || !emergency || owed);
	PROMISE(10, !OPEN(G0, G1));
	PROMISE(11, !(OPEN(G1, G1) && opened < flipped));
	PROMISE(12, !(certain && erasing && started != 0 && started < ended && ended < flipped));
	PROMISE(13, !(OPEN(G0, G1) && emergency));
	PROMISE(14, !(OPENX && started != 0));
	PROMISE(15, !(certain && tried != 0 && tried < started && started < ended && ended < flipped));
#ifndef STAYER
	order(1, 2);
#endif
#ifndef ABANDON /* whose attempt 2 is in, and not 3 */
	order(2, 3);
#endif
#ifndef STAYER
	order(1, 2)
#endif
}

inline decide(event) {
	decided++;
	event = decided
}

#define EXECUTE(m) \
	:: atomic { !FAULTY(m) && pos[m] < decided -> \
		pos[m]++; \
		holds[m] = holds[m] && !(erasing && pos[m] == ended); \
		took[m] = took[m] && !DROPS(m); \
		check() }

#define RELEASE0(m) \
	:: atomic { IN_OLD(m) && !FAULTY(m) && gave0[m] == KEPT && HAS0(m) && SERVED(m) -> \
		gave0[m] = (certain -> LATE : EARLY); check() }

#define RELEASE1(m) \
	:: atomic { IN_NEW(m) && !FAULTY(m) && gave1[m] == KEPT && HAS1(m) && PAST(m, flipped) && SERVED(m) -> \
		gave1[m] = (certain -> LATE : EARLY); check() }

#define DEAL(m) \
	:: atomic { FAULTY(m) && IN_OLD(m) && !dealt[m] && started != 0 -> dealt[m] = true; check() }

#ifdef TAKE_ERASED
#define WILLING(m) true
#else
#define WILLING(m) (!KNOWS_ERASED(m))
#endif

/* Who combines the agreed dealers' subshares. The faulty need no agreement. */
#define COMBINE(m) \
	:: atomic { IN_NEW(m) && !holds[m] && DEALERS >= T && ARRIVES && \
		(FAULTY(m) || (PAST(m, agreed) && WILLING(m))) -> holds[m] = true; check() }

#define TRY(m) \
	:: atomic { IN_TRIED(m) && !FAULTY(m) && !took[m] && DEALERSX >= T && PAST(m, tried) && !PAST(m, started) && \
		!KNOWS_ERASED(m) -> took[m] = true; check() }

#define LEAK(m) \
	:: atomic { FAULTY(m) && HAS0(m) && gave0[m] == KEPT -> gave0[m] = (certain -> LATE : EARLY); check() } \
	:: atomic { FAULTY(m) && HAS1(m) && gave1[m] == KEPT -> gave1[m] = (certain -> LATE : EARLY); check() }

init {
end:	do
	/* The ledger. Nothing is opened on an erased record, or after an end. */
#ifdef ABANDON
	:: atomic { tried == 0 && started == 0 -> decide(tried); check() }
#else
	:: atomic { opened == 0 && ended == 0 -> decide(opened); if :: emergency = true :: true fi;
#ifdef BTG_UNOWED
		check() }
	:: atomic { emergency && !owed -> owed = true }
#else
		owed = emergency; check() }
#endif
#endif
#ifdef BTG_UNCHECKED
	:: atomic { opened == 0 && ended != 0 && erasing -> decide(opened); emergency = true; owed = true; check() }
#endif
	:: atomic { started == 0 -> decide(started) }
	:: atomic { started != 0 && agreed == 0 && (DEALERS >= T || (ended != 0 && erasing)) -> decide(agreed); check() }
	:: atomic { agreed != 0 && flipped == 0 && COUNT5(SAID) >= CONFIRMATIONS -> decide(flipped); check() }
	:: atomic { ended == 0 -> decide(ended); if :: erasing = true :: opened != 0 fi; check() }

	EXECUTE(0) EXECUTE(1) EXECUTE(2) EXECUTE(3) EXECUTE(4)
	DEAL(0) DEAL(1)
	COMBINE(1) COMBINE(2) COMBINE(3) COMBINE(4)
#ifdef ABANDON
	TRY(0) TRY(2) TRY(4)
#else
	RELEASE0(0) RELEASE0(1) RELEASE0(2) RELEASE0(3)
	RELEASE1(1) RELEASE1(2) RELEASE1(3) RELEASE1(4)
	LEAK(0) LEAK(1) LEAK(4)
#endif

	:: atomic { !certain && ended != 0 && CERTIFIED && CERTIFIEDX -> certain = true; check() }
	od
}
