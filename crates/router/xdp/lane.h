/* A lane's credit and windows, in memory that this program and the router's own thread work on at the same time.
 *
 * The layout and the algorithm are those of crates/dataplane/src/shared_lane.rs, where they are explained; every
 * change is one atomic instruction, so each packet counter is billed once, whoever sees it first, and what is
 * billed never exceeds what is allowed.
 */
#ifndef SRWAN_LANE_H
#define SRWAN_LANE_H

#include "kernel.h"

/* Counters from here on are the router's alone. */
#define COUNTER_HIGH (1ULL << 45)

enum { LANES_MAX = 1024, STREAMS = 5, WINDOW = 8192, WINDOW_WORDS = 512, TRIES = 8 };

struct stream {
	u64 next;
	u64 unused[7];
	u64 words[WINDOW_WORDS];
};

struct lane_words {
	u64 allowed;
	u64 octets;
	u64 packets_short;
	u64 packets_long;
	u64 owner;
	u64 unused[3];
	u64 streams_of[8];
	struct stream streams[STREAMS];
};

_Static_assert(sizeof(struct lane_words) == 8 * 2616, "LANE_WORDS of shared_lane.rs");

/* What was refused here; the router adds it to its own counters. */
struct refused_words {
	u64 replayed;
	u64 credit;
	u64 punted;
	u64 unused[5];
};

struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(max_entries, LANES_MAX);
	MAP_NUMBER(map_flags, MAP_MMAPABLE);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct lane_words);
} lane_memory SEC(".maps");

struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(max_entries, 1);
	MAP_NUMBER(map_flags, MAP_MMAPABLE);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct refused_words);
} refused_memory SEC(".maps");

enum taken { TAKEN, SEEN, BUSY };

/* The window of the stream with this key; null for one that the router has not seen yet. */
INLINE struct stream *stream_of(struct lane_words *lane, u64 key)
{
	if (LOAD(lane->streams_of[0]) == key)
		return &lane->streams[0];
	if (LOAD(lane->streams_of[1]) == key)
		return &lane->streams[1];
	if (LOAD(lane->streams_of[2]) == key)
		return &lane->streams[2];
	if (LOAD(lane->streams_of[3]) == key)
		return &lane->streams[3];
	if (LOAD(lane->streams_of[4]) == key)
		return &lane->streams[4];
	return 0;
}

INLINE void raise_next(struct stream *stream, u64 next)
{
	u64 seen = LOAD(stream->next);

	for (int i = 0; i < TRIES && seen < next; i++) {
		u64 found = COMPARE_SWAP(stream->next, seen, next);

		if (found == seen)
			return;
		seen = found;
	}
}

/* Records a packet counter below COUNTER_HIGH, once. */
INLINE enum taken take(struct stream *stream, u64 counter)
{
	u64 *word = &stream->words[counter >> 5 & (WINDOW_WORDS - 1)];
	u32 round = counter >> 14, bit = 1U << (counter & 31);
	u64 seen = LOAD(*word);

	if (counter + WINDOW < LOAD(stream->next))
		return SEEN;
	for (int i = 0; i < TRIES; i++) {
		u32 bits = (u32)(seen >> 32) == round ? (u32)seen : 0;
		u64 found;

		if (bits & bit || (u32)(seen >> 32) > round)
			return SEEN;
		found = COMPARE_SWAP(*word, seen, (u64)round << 32 | bits | bit);
		if (found == seen) {
			raise_next(stream, counter + 1);
			return TAKEN;
		}
		seen = found;
	}
	return BUSY;
}

/* Bills `octets`, if they fit. */
INLINE int charge(struct lane_words *lane, u64 octets)
{
	u64 seen = LOAD(lane->octets);

	for (int i = 0; i < TRIES; i++) {
		u64 found;

		if (seen + octets > LOAD(lane->allowed))
			return 0;
		found = COMPARE_SWAP(lane->octets, seen, seen + octets);
		if (found == seen)
			return 1;
		seen = found;
	}
	return 0;
}

#endif
