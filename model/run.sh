#!/bin/sh
# Checks model/release.pml and model/epochs.pml: every safe configuration exhaustively, and
# every unsafe one for the promises it must break. Exits 0 if all came out as expected, 1 on a
# surprise, 2 if spin or a C compiler is missing. With --large also 16 custodians (3 GB, minutes).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}
for tool in spin "$cc"; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "model: $tool is not installed (Debian: apt-get install spin gcc)" >&2
		exit 2
	fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

surprises=0
runs=0

# check WANT DEFINES... runs one verification of $model. WANT is "holds" or "broken".
model=release
check() {
	want=$1
	shift
	runs=$((runs + 1))
	(cd "$work" && rm -f pan* && spin -a "$@" "$here/$model.pml" >spin.out 2>&1 &&
		"$cc" -O2 -w -DSAFETY -DNOREDUCE -DMEMLIM=6000 -o pan pan.c &&
		./pan -m1000000 >pan.out 2>&1) || { echo "model: spin failed on: $*" >&2; cat "$work"/*.out >&2; exit 1; }
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/pan.out")
	if grep -q 'assertion violated' "$work/pan.out"; then
		got=broken
	elif grep -q 'errors: 0' "$work/pan.out" && ! grep -q 'Search not completed\|max search depth too small\|out of memory' "$work/pan.out"; then
		got=holds
	else
		got='not decided'
	fi
	verdict=
	if [ "$got" != "$want" ]; then
		verdict="  <- SURPRISE, want $want"
		surprises=$((surprises + 1))
	fi
	printf '%-60s %-12s %12s states%s\n' "$title" "$got" "$states" "$verdict"
}

safe() { # n f t q, then more defines
	title="n=$1 f=$2 t=$3 q=$4: S1 S2 S4 S6"
	n=$1 f=$2 t=$3 q=$4
	shift 4
	check holds "-DN=$n" "-DF=$f" "-DT=$t" "-DQ=$q" "$@"
}

unsafe() { # what, promises broken, n f t q, then more defines
	what=$1 broken=$2 n=$3 f=$4 t=$5 q=$6
	shift 6
	for promise in 1 2 4 6; do
		title="n=$n f=$f t=$t q=$q, $what: S$promise"
		case " $broken " in
		*" $promise "*) check broken "-DN=$n" "-DF=$f" "-DT=$t" "-DQ=$q" "-DONLY=$promise" "$@" ;;
		*) check holds "-DN=$n" "-DF=$f" "-DT=$t" "-DQ=$q" "-DONLY=$promise" "$@" ;;
		esac
	done
}

echo '# The model is not empty: both of these "never" claims must be broken'
title='n=4 f=1 t=3 q=3: no reader ever opens a record'
check broken -DN=4 -DF=1 -DT=3 -DQ=3 -DONLY=8
title='n=4 f=1 t=3 q=3: no patient ever gets certainty'
check broken -DN=4 -DF=1 -DT=3 -DQ=3 -DONLY=9

echo '# Safe: t = q = n-f'
safe 4 1 3 3
safe 5 1 4 4
safe 6 1 5 5
safe 7 2 5 5
safe 10 3 7 7 -DBLOCKS=3
if [ "${1-}" = --large ]; then
	safe 16 5 11 11 -DBLOCKS=3
fi
echo '# Safe: other t and q with q > n+f-t'
safe 5 1 3 4
safe 5 1 4 3
safe 6 1 3 5
safe 6 1 5 3

echo '# Unsafe: the threshold of f+1 that a quick reading suggests'
unsafe 't = f+1' '2 6' 4 1 2 3
unsafe 't = f+1' '2 6' 7 2 3 5 -DBLOCKS=3
echo '# Unsafe: q <= n+f-t'
unsafe 'small q' '2 6' 4 1 3 2
unsafe 'small q' '2 6' 5 1 3 3
unsafe 'small q' '2 6' 5 1 4 2
unsafe 'small q' '2 6' 6 1 3 4
unsafe 'small q' '2 6' 7 2 5 4 -DBLOCKS=3
echo '# Unsafe: t <= f'
unsafe 't <= f' '1 2 6' 4 1 1 3
echo '# Unsafe: custodians without a clock, or serving from stale replicas'
unsafe 'block time only' '4' 4 1 3 3 -DNO_WALL_CLOCK
unsafe 'no lease' '4' 4 1 3 3 -DNO_LEASE

model=epochs
epochs() { # want, what, defines
	want=$1 title="n=4 to 4, $2"
	shift 2
	check "$want" "$@"
}
echo '# Epochs. Not empty: these "never" claims must be broken'
epochs broken 'no reader ever opens a record' -DONLY=10
epochs broken 'no session lives across the flip' -DONLY=11
epochs broken 'no erasure is certain before a flip' -DONLY=12
epochs broken 'no emergency ever opens a record' -DONLY=13
echo '# Epochs: safe'
epochs holds 'who leaves and who joins faulty: S1 S2 S5 to S8'
epochs holds 'who stays faulty: S1 S2 S5 to S8' -DSTAYER
echo '# Epochs: unsafe'
for p in 2 6; do
	epochs broken "one polynomial for both: S$p" -DMIX -DONLY=$p
	epochs broken "receipts of the new epoch alone: S$p" -DCERT_NEW_ONLY -DSTAYER -DONLY=$p
done
epochs broken 'receipts of the old epoch alone: S6' -DCERT_OLD_ONLY -DSTAYER -DONLY=6
epochs broken 'old shares kept after the flip: S2' -DKEEP_OLD -DSTAYER -DONLY=2
epochs broken 'shares taken of what is erased: S6' -DTAKE_ERASED -DONLY=6
epochs broken 'flip at f confirmations: S7' -DFLIP_EARLY -DONLY=7
epochs broken 'nobody relays subshares: S7' -DNO_RELAY -DONLY=7
epochs broken 'emergencies look past the tombstone: S2' -DBTG_UNCHECKED -DONLY=2
epochs broken 'the review is owed by a second entry: S8' -DBTG_UNOWED -DONLY=8

echo '# Epochs, after an attempt that was abandoned. Not empty, safe, unsafe'
epochs broken 'an abandoned attempt never leaves t shares' -DABANDON -DSTAYER -DONLY=14
epochs broken 'no erasure is certain after one' -DABANDON -DSTAYER -DONLY=15
epochs holds 'an abandoned attempt: S6 S7' -DABANDON -DSTAYER
epochs broken 'the abandoned committee is not counted: S6' -DABANDON -DSTAYER -DCERT_NOT_TRIED -DONLY=6
epochs broken 'its shares are kept by who confirms: S6' -DABANDON -DSTAYER -DKEEP_TRIED -DONLY=6

if [ "$surprises" -ne 0 ]; then
	echo "model: $surprises of $runs checks came out another way than expected" >&2
	exit 1
fi
echo "model: all $runs checks came out as expected"
