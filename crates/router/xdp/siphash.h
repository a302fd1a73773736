/* SipHash-2-4-64 of 24 or 32 octets, the two lengths that a relayed header can have.
 *
 * Source: Aumasson and Bernstein, SipHash: a fast short-input PRF (2012). The same function as `LinkKey` of the
 * pure data plane; unrolled, because the verifier likes no loops.
 */
#ifndef SRWAN_SIPHASH_H
#define SRWAN_SIPHASH_H

#include "kernel.h"

#define ROTATE(word, bits) ((word) << (bits) | (word) >> (64 - (bits)))

#define SIP_ROUND(v0, v1, v2, v3)                                                                                  \
	do {                                                                                                       \
		v0 += v1;                                                                                          \
		v2 += v3;                                                                                          \
		v1 = ROTATE(v1, 13) ^ v0;                                                                          \
		v3 = ROTATE(v3, 16) ^ v2;                                                                          \
		v0 = ROTATE(v0, 32);                                                                               \
		v2 += v1;                                                                                          \
		v0 += v3;                                                                                          \
		v1 = ROTATE(v1, 17) ^ v2;                                                                          \
		v3 = ROTATE(v3, 21) ^ v0;                                                                          \
		v2 = ROTATE(v2, 32);                                                                               \
	} while (0)

#define SIP_WORD(word)                                                                                             \
	do {                                                                                                       \
		v3 ^= (word);                                                                                      \
		SIP_ROUND(v0, v1, v2, v3);                                                                         \
		SIP_ROUND(v0, v1, v2, v3);                                                                         \
		v0 ^= (word);                                                                                      \
	} while (0)

/* The tag of `words[0..3]`, and of `words[3]` too if the header `is_long`. */
INLINE u64 siphash(const u64 key[2], const u64 words[4], int is_long)
{
	u64 v0 = key[0] ^ 0x736f6d6570736575ULL, v1 = key[1] ^ 0x646f72616e646f6dULL;
	u64 v2 = key[0] ^ 0x6c7967656e657261ULL, v3 = key[1] ^ 0x7465646279746573ULL;
	u64 length = 24ULL << 56;

	SIP_WORD(words[0]);
	SIP_WORD(words[1]);
	SIP_WORD(words[2]);
	if (is_long) {
		SIP_WORD(words[3]);
		length = 32ULL << 56;
	}
	SIP_WORD(length);
	v2 ^= 0xff;
	SIP_ROUND(v0, v1, v2, v3);
	SIP_ROUND(v0, v1, v2, v3);
	SIP_ROUND(v0, v1, v2, v3);
	SIP_ROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}

#endif
