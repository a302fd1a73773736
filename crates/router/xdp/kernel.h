/* What the relay needs of the kernel's and libbpf's headers, so that a build needs clang and nothing else.
 *
 * Source: include/uapi/linux/{bpf,if_ether,ip,ipv6,udp}.h; libbpf's bpf_helpers.h for the shape of maps.
 */
#ifndef SRWAN_KERNEL_H
#define SRWAN_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

/* How libbpf and aya read a map's type and sizes from its BTF. */
#define MAP_NUMBER(name, value) int(*name)[value]
#define MAP_TYPE(name, type) type *name

enum { MAP_HASH = 1, MAP_ARRAY = 2, MAP_DEVMAP_HASH = 25 };
enum { MAP_MMAPABLE = 1 << 10 };

enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };

struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static u64 (*const ktime_coarse_ns)(void) = (void *)160;

struct ethernet {
	u8 target[6];
	u8 source[6];
	u16 type;
} __attribute__((packed));

struct ipv4 {
	u8 version_ihl;
	u8 tos;
	u16 length;
	u16 id;
	u16 fragment;
	u8 ttl;
	u8 protocol;
	u16 checksum;
	u32 source;
	u32 target;
};

struct ipv6 {
	u32 class_flow;
	u16 length;
	u8 next;
	u8 hops;
	u32 source[4];
	u32 target[4];
};

struct udp {
	u16 source;
	u16 target;
	u16 length;
	u16 checksum;
};

enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, PROTOCOL_UDP = 17 };

#define BE16(host) __builtin_bswap16(host)
#define BE32(host) __builtin_bswap32(host)

/* Reads once what another processor may write at any time. */
#define LOAD(place) (*(const volatile typeof(place) *)&(place))
#define STORE_ADD(place, amount) __sync_fetch_and_add(&(place), (amount))
#define COMPARE_SWAP(place, before, after) __sync_val_compare_and_swap(&(place), (before), (after))

#endif
