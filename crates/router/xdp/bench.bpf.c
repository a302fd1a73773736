/* Programs for tests and measurements: never loaded by a router.
 *
 * A relayed frame cannot be relayed again, so `fresh_relay` first makes the frame at hand a new packet of its stream
 * (next counter, list and link as before, valid tag); `fresh_drop` does the same and drops it. The difference of both
 * is what the relay costs. `drop` and `pass` are the least that a program can do.
 */
#include "relay.bpf.c"

/* The counter of the last fresh frame, and the link index of all of them as it stands in a header. */
struct fresh {
	u64 counter;
	u64 link;
};

struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct fresh);
} fresh_state SEC(".maps");

INLINE int make_fresh(struct xdp_md *context)
{
	struct packet packet = { .end = (void *)(long)context->data_end };
	u32 zero = 0, index;
	struct fresh *fresh = map_lookup(&fresh_state, &zero);
	const struct link *link;
	u64 tag, listed;

	packet.header = (void *)(long)context->data + sizeof(struct ethernet) + sizeof(struct ipv4) + sizeof(struct udp);
	if ((void *)(packet.header + 1) > packet.end || !fresh)
		return 0;
	index = BE16((u16)fresh->link);
	link = map_lookup(&links, &index);
	if (!link)
		return 0;
	listed = packet.header->words[0] >> 12 & 0xf;
	packet.is_long = listed > 1;
	packet.words[0] = (packet.header->words[0] & ~0xffffff00ULL) | listed << 12 | listed << 8 | fresh->link << 16;
	packet.words[1] = (packet.header->words[1] & 0xff) | __builtin_bswap64(++fresh->counter);
	packet.words[2] = packet.header->words[2];
	if (packet.is_long)
		packet.words[3] = packet.header->words[3];
	tag = siphash(link->key, packet.words, packet.is_long);
	packet.header->words[0] = packet.words[0];
	packet.header->words[1] = packet.words[1];
	if (packet.is_long)
		packet.header->tag = tag;
	else
		packet.header->words[3] = tag;
	return 1;
}

SEC("xdp")
int fresh_relay(struct xdp_md *context)
{
	return make_fresh(context) ? relay(context) : XDP_ABORTED;
}

SEC("xdp")
int fresh_drop(struct xdp_md *context)
{
	return make_fresh(context) ? XDP_DROP : XDP_ABORTED;
}

SEC("xdp")
int drop(struct xdp_md *context)
{
	(void)context;
	return XDP_DROP;
}

SEC("xdp")
int pass(struct xdp_md *context)
{
	(void)context;
	return XDP_PASS;
}
