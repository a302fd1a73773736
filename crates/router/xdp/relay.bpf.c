/* The relay step in the driver: what the pure data plane's `forward` does with a paid data packet, and only that.
 *
 * A frame is taken only if everything about it is proven: a plain UDP datagram with a valid link tag of a live link,
 * segments left, a lane of that previous and next hop, a known stream. All else goes on to the kernel and so to the
 * router in user space (XDP_PASS), which judges it from the beginning; so does whatever is rare. Replays and packets
 * beyond a lane's credit are dropped here, because both executors work on the same windows and the same credit
 * (lane.h). docs/design/005-xdp-relay.md says why it is built like this.
 *
 * The router writes the maps; this program writes only to lane_memory and refused_memory.
 */
#include "kernel.h"
#include "lane.h"
#include "siphash.h"

/* This router and its UDP port (network order); set before the program is loaded. */
const volatile u32 NODE = 0;
const volatile u32 PORT = 0;

/* A link that packets may come by: index in the header -> key and neighbour. */
struct link {
	u64 key[2];
	/* By the monotonic clock, in nanoseconds; zero = no such link. */
	u64 until;
	u32 previous;
	u32 unused;
};

/* A lane and the way to its next hop. */
struct way {
	u64 key[2];
	u64 until;
	u32 previous;
	u32 next;
	u32 slot;
	u32 interface;
	u32 source[4];
	u32 target[4];
	u16 port;
	u16 link;
	/* Largest IP packet on the way. */
	u16 mtu;
	/* 4 or 6. */
	u16 version;
	u8 source_mac[6];
	u8 target_mac[6];
	u32 unused;
};

/* `struct bpf_devmap_val`: where frames may be sent, by interface index. */
struct port {
	u32 interface;
	u32 program;
};

struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(max_entries, 65536);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct link);
} links SEC(".maps");

struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, LANES_MAX);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct way);
} ways SEC(".maps");

struct {
	MAP_NUMBER(type, MAP_DEVMAP_HASH);
	MAP_NUMBER(max_entries, 64);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct port);
} ports SEC(".maps");

/* Type data, lane section present, version 1. */
enum { DATA_WITH_LANE = 0x89 };
enum { SID_END = 0x001, SID_END_DT46 = 0x002 };
enum { AEAD_TAG = 16, LISTED_MAX = 3, HOP_LIMIT = 64, DONT_FRAGMENT = 0x4000, FRAGMENT = 0x3fff };

/* The header's longest form with its link tag; the shorter one has its tag where `words[3]` is. */
struct header {
	u64 words[4];
	u64 tag;
};

/* The datagram at hand. */
struct packet {
	struct ethernet *ethernet;
	struct udp *udp;
	struct header *header;
	void *end;
	u64 words[4];
	/* Octets of the whole IP packet, and of the header without its tag. */
	u32 length;
	u32 header_length;
	u32 is_long;
	u16 version;
};

INLINE u32 high(u64 word)
{
	return BE32((u32)(word >> 32));
}

INLINE u32 low(u64 word)
{
	return BE32((u32)word);
}

/* Reads the header; false if it is not one that is relayed here. */
INLINE int read_header(struct packet *packet)
{
	struct header *header = packet->header;
	u32 listed, left;

	/* The short form with its tag and the AEAD's ends 8 octets behind `tag`. */
	if ((void *)(header + 1) + 8 > packet->end)
		return 0;
	packet->words[0] = header->words[0];
	packet->words[1] = header->words[1];
	packet->words[2] = header->words[2];
	listed = (packet->words[0] >> 12) & 0xf;
	left = (packet->words[0] >> 8) & 0xf;
	if ((u8)packet->words[0] != DATA_WITH_LANE || listed - 1 >= LISTED_MAX || left - 1 >= listed)
		return 0;
	packet->is_long = listed > 1;
	packet->header_length = packet->is_long ? 32 : 24;
	if (packet->is_long) {
		if ((void *)(header + 1) + AEAD_TAG > packet->end)
			return 0;
		packet->words[3] = header->words[3];
		if (listed == 2 && packet->words[3] >> 32)
			return 0;
	}
	return 1;
}

/* The node to send on to, or 0; the checks of `next_hop` in crates/dataplane/src/forward.rs.
 *
 * `sids` are those at the indexes 0, 1 and 2, zero where none is listed.
 */
INLINE u32 next_node(const struct packet *packet, u32 previous)
{
	u32 listed = (packet->words[0] >> 12) & 0xf, left = (packet->words[0] >> 8) & 0xf;
	u32 first = high(packet->words[2]);
	u32 second = listed > 1 ? low(packet->words[3]) : 0, third = listed > 2 ? high(packet->words[3]) : 0;
	u32 mine = NODE << 12 | SID_END;
	u32 endpoint = first >> 12, next = endpoint;

	if ((first & 0xfff) != SID_END_DT46 || !endpoint || endpoint == NODE || endpoint == previous)
		return 0;
	/* No node stands twice in the list, and what is visited after this router is a relay. */
	if (endpoint == second >> 12 || endpoint == third >> 12 || (third && second >> 12 == third >> 12))
		return 0;
	if (left == 1)
		return listed == 1 || (second == mine && (listed == 2 || third >> 12 == previous)) ? next : 0;
	next = second >> 12;
	if ((second & 0xfff) != SID_END || !next || next == NODE || next == previous)
		return 0;
	if (left == 2)
		return listed == 2 || third == mine ? next : 0;
	next = third >> 12;
	if ((third & 0xfff) != SID_END || !next || next == NODE || next == previous)
		return 0;
	return next;
}

INLINE u16 fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Sum of 32-bit words whose 16-bit halves are what a checksum adds. */
INLINE u64 sum_of(const u32 *words, int count)
{
	u64 sum = 0;

	for (int i = 0; i < count; i++)
		sum += words[i];
	return sum;
}

/* Writes segments left, link index and link tag for the next hop. Returns what this adds to a one's complement sum. */
INLINE u64 rewrite_header(struct packet *packet, const struct way *way)
{
	struct header *header = packet->header;
	u64 *tag = packet->is_long ? &header->tag : &header->words[3];
	u64 before = packet->words[0], old_tag = *tag, new_tag;

	packet->words[0] = (before & ~0xffff0000ULL) - 0x100 + ((u64)way->link << 16);
	new_tag = siphash(way->key, packet->words, packet->is_long);
	header->words[0] = packet->words[0];
	*tag = new_tag;
	return (u32)~(u32)before + (u64)(u32)packet->words[0] + (u32)~(u32)old_tag + (u32)~(u32)(old_tag >> 32) +
	       (u32)new_tag + (u32)(new_tag >> 32);
}

INLINE void readdress_v4(struct packet *packet, const struct way *way)
{
	struct ipv4 *ip = (void *)(packet->ethernet + 1);

	ip->id = 0;
	ip->fragment = BE16(DONT_FRAGMENT);
	ip->ttl = HOP_LIMIT;
	ip->source = way->source[0];
	ip->target = way->target[0];
	ip->checksum = 0;
	ip->checksum = ~fold(sum_of((u32 *)ip, sizeof(*ip) / 4));
	/* Without one: what a local sender left here is only part of a sum, and the payload has a seal of its own. */
	packet->udp->checksum = 0;
	packet->udp->source = PORT;
	packet->udp->target = way->port;
}

/* IPv6 must have a checksum: it changes by what is changed (RFC 1624). */
INLINE void readdress_v6(struct packet *packet, const struct way *way, u64 change)
{
	struct ipv6 *ip = (void *)(packet->ethernet + 1);
	u64 sum = (u16)~packet->udp->checksum + change;

	for (int i = 0; i < 4; i++) {
		sum += (u32)~ip->source[i] + (u64)(u32)~ip->target[i];
		sum += (u64)way->source[i] + way->target[i];
		ip->source[i] = way->source[i];
		ip->target[i] = way->target[i];
	}
	sum += (u16)~packet->udp->source + (u64)(u16)~packet->udp->target;
	sum += (u64)(u16)PORT + way->port;
	ip->hops = HOP_LIMIT;
	packet->udp->source = PORT;
	packet->udp->target = way->port;
	packet->udp->checksum = ~fold(sum);
	if (!packet->udp->checksum)
		packet->udp->checksum = 0xffff;
}

INLINE int send(struct xdp_md *context, struct packet *packet, const struct way *way)
{
	u64 change = rewrite_header(packet, way);

	if (packet->version == 4)
		readdress_v4(packet, way);
	else
		readdress_v6(packet, way, change);
	__builtin_memcpy(packet->ethernet->target, way->target_mac, 6);
	__builtin_memcpy(packet->ethernet->source, way->source_mac, 6);
	if (way->interface == context->ingress_ifindex)
		return XDP_TX;
	return redirect_map(&ports, way->interface, 0);
}

/* Takes the packet's counter and bills it; XDP_TX stands for "send it". */
INLINE int bill(struct packet *packet, const struct way *way, u32 label)
{
	u32 slot = way->slot, zero = 0;
	struct lane_words *lane = map_lookup(&lane_memory, &slot);
	struct refused_words *refused = map_lookup(&refused_memory, &zero);
	u32 overhead = packet->header_length + sizeof(packet->header->tag) + AEAD_TAG;
	u64 octets = packet->length - (packet->version == 4 ? 20 : 40) - sizeof(struct udp) - overhead;
	u64 key = 1ULL << 40 | (u64)high(packet->words[0]) << 8 | (u8)packet->words[1];
	u64 counter = __builtin_bswap64(packet->words[1]) & ((1ULL << 56) - 1);
	struct stream *stream;
	enum taken taken;

	if (!lane || !refused || LOAD(lane->owner) != label || counter >= COUNTER_HIGH)
		return XDP_PASS;
	if (LOAD(lane->octets) + octets > LOAD(lane->allowed)) {
		STORE_ADD(refused->credit, 1);
		return XDP_DROP;
	}
	stream = stream_of(lane, key);
	if (!stream)
		return XDP_PASS;
	taken = take(stream, counter);
	if (taken == BUSY)
		return XDP_PASS;
	if (taken == SEEN) {
		STORE_ADD(refused->replayed, 1);
		return XDP_DROP;
	}
	if (!charge(lane, octets)) {
		STORE_ADD(refused->credit, 1);
		return XDP_DROP;
	}
	if (packet->is_long)
		STORE_ADD(lane->packets_long, 1);
	else
		STORE_ADD(lane->packets_short, 1);
	return XDP_TX;
}

INLINE int judge(struct xdp_md *context, struct packet *packet)
{
	u32 index, label, next;
	const struct link *link;
	const struct way *way;
	u64 now, tag;
	int verdict;

	if (!read_header(packet))
		return XDP_PASS;
	index = BE16((u16)(packet->words[0] >> 16));
	link = map_lookup(&links, &index);
	now = ktime_coarse_ns();
	if (!link || now >= link->until)
		return XDP_PASS;
	tag = packet->is_long ? packet->header->tag : packet->header->words[3];
	if (siphash(link->key, packet->words, packet->is_long) != tag)
		return XDP_PASS;
	next = next_node(packet, link->previous);
	label = low(packet->words[2]);
	way = map_lookup(&ways, &label);
	if (!next || !way || way->next != next || way->previous != link->previous)
		return XDP_PASS;
	if (now >= way->until || packet->length > way->mtu || packet->version != way->version)
		return XDP_PASS;
	verdict = bill(packet, way, label);
	return verdict == XDP_TX ? send(context, packet, way) : verdict;
}

/* A whole, plain IPv4 datagram to our port, or not ours to touch. */
INLINE int take_v4(struct packet *packet)
{
	struct ipv4 *ip = (void *)(packet->ethernet + 1);
	struct udp *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > packet->end)
		return 0;
	packet->length = BE16(ip->length);
	if (ip->version_ihl != 0x45 || ip->protocol != PROTOCOL_UDP || udp->target != PORT)
		return 0;
	if (ip->fragment & BE16(FRAGMENT) || (u16)~fold(sum_of((u32 *)ip, sizeof(*ip) / 4)))
		return 0;
	if ((void *)ip + packet->length != packet->end || BE16(udp->length) != packet->length - sizeof(*ip))
		return 0;
	packet->udp = udp;
	packet->header = (void *)(udp + 1);
	packet->version = 4;
	return 1;
}

INLINE int take_v6(struct packet *packet)
{
	struct ipv6 *ip = (void *)(packet->ethernet + 1);
	struct udp *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > packet->end)
		return 0;
	packet->length = BE16(ip->length) + sizeof(*ip);
	if ((ip->class_flow & 0xf0) != 0x60 || ip->next != PROTOCOL_UDP || udp->target != PORT || !udp->checksum)
		return 0;
	if ((void *)ip + packet->length != packet->end || udp->length != ip->length)
		return 0;
	packet->udp = udp;
	packet->header = (void *)(udp + 1);
	packet->version = 6;
	return 1;
}

SEC("xdp")
int relay(struct xdp_md *context)
{
	struct packet packet = {
		.ethernet = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
	};

	int taken = 0;

	if ((void *)(packet.ethernet + 1) > packet.end)
		return XDP_PASS;
	if (packet.ethernet->type == BE16(TYPE_IPV4))
		taken = take_v4(&packet);
	else if (packet.ethernet->type == BE16(TYPE_IPV6))
		taken = take_v6(&packet);
	return taken ? judge(context, &packet) : XDP_PASS;
}

const char LICENSE[] SEC("license") = "MIT OR Apache-2.0";
