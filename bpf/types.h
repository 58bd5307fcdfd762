/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the programs and user space both know: bcc hands user space the structures, the hedger's programs.py repeats
 * the numbers. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d; addresses and ports in network order; times in ns on
 * CLOCK_MONOTONIC. */
#ifndef HEDGEROW_TYPES_H
#define HEDGEROW_TYPES_H

#define MAX_SERVICES 16
#define MAX_REPLICAS 16 /* of one service; clients may use any of them */
#define MAX_FAULT_RULES 64
#define SAVED_MARKS 16384
#define SCRATCH 512 /* bytes */
#define ENDPOINT_SLOTS 1024
#define ENDPOINT_WAYS 2
#define BUCKET_WAYS 6
#define HISTOGRAM_SUB_BITS 3
#define HISTOGRAM_BUCKETS (64 << HISTOGRAM_SUB_BITS)

enum mode { MODE_OFF = 0, MODE_TAP = 1, MODE_HEDGE = 2 };

/* What identifies a request: its flow and id (real traffic), or id and block alone (the testbed's tap,
 * since a rival may hedge from a second socket or to another replica). */
enum identity { IDENTITY_FLOW = 0, IDENTITY_BLOCK = 1 };

/* Which replica the hedge goes to: the primary's, or another (scoreboard.h says which). */
enum target { TARGET_SAME = 0, TARGET_OTHER = 1 };

enum delay_line { LINE_NETEM = 1, LINE_HTB = 2, LINE_FQ = 3 };

/* A partition is a loss of everything. */
enum fault { FAULT_LOSS = 1, FAULT_DUPLICATE = 2, FAULT_CORRUPT = 3, FAULT_DELAY = 4 };

enum direction { DIRECTION_REQUESTS = 0, DIRECTION_RESPONSES = 1 };

enum event_type { EVENT_DEPARTURE = 1, EVENT_ANSWER = 2 };

enum winner { WINNER_NONE = 0, WINNER_PRIMARY = 1, WINNER_HEDGE = 2, WINNER_UNKNOWN = 3 };

/* A link whose qdisc holds packets back. */
struct line {
	u64 delay_ns;
	u32 ifindex;	 /* its near end */
	u32 kind;	 /* enum delay_line */
	u32 lane_handle; /* HTB: classid of lane 0 */
	u32 lanes;	 /* HTB: which element of lane_map */
};

struct config {
	u64 expiry_ns;   /* age at which a request with the same id is a new one */
	u64 max_late_ns; /* a hedge that is later than this does not leave */
	u64 print_seed;
	u64 endpoint_seed[3];
	struct line line;
	u32 mode;
	u32 identity;
	u32 block;
	u32 out_ifindex;   /* the client's interface */
	u32 hedge_ifindex; /* where hedges come in from, on their way there */
	u32 hedge_near_ifindex; /* engine queue: the near end of the hedge link */
	u32 routed;             /* hedges to the same replica are routed, too: the interface has no link addresses */
	u32 pad;
};

struct endpoint_key {
	u32 address[4];
	u16 port;
	u16 pad;
};

/* A replica's address. Port 0 stands for an empty place. */
struct endpoint {
	u32 address[4];
	u16 port;
	u8 service;
	u8 replica;
};

/* Asked of every packet, so one cache line: user space chooses seeds that leave no slot overfull. */
struct endpoint_slot {
	struct endpoint way[ENDPOINT_WAYS];
	u64 pad[3];
};

struct field {
	u16 offset; /* in the UDP payload */
	u16 length; /* 0: there is none */
};

struct service {
	struct field request_id;
	struct field response_id;
	struct field copy_ordinal; /* where a response says which copy it answers; length 0 or 1 */
	u32 replicas;              /* how many addresses it has, at least 1 */
	u64 delay_ns;
	u32 target;
	u32 pad;
};

/* A request in flight, or not long ago: one cache line. */
struct request {
	u64 request_ns; /* when the first copy left */
	u64 deadline_ns;
	u64 first_response_ns;    /* 0: unanswered; ANSWERED: when is not known */
	u64 outstanding_until_ns; /* until when a response to an earlier request with this id may come */
	u64 arrivals;             /* responses by replica, four bits each: counted where network faults look at them */
	u32 ticket;               /* the engine's, if `flags` says so */
	u32 mark;                 /* the client's own mark and priority, restored on the hedge */
	u32 priority;
	u16 hedged;         /* a bit for each replica that hedges went to */
	u16 owed;           /* ... from which responses to an earlier request with this id may come */
	u8 primary_replica; /* that the first copy went to */
	u8 copies;          /* that have left, the kernel's hedges among them */
	u8 hedges;          /* of these, the kernel's */
	u8 responses;       /* that have arrived */
	u8 dropped;         /* of these, never more than hedges */
	u8 outstanding;     /* responses that earlier requests with this id still await */
	u8 first_ordinal;   /* which copy the first response said it answers, 0 if it did not say */
	u8 flags;           /* enum request_flag */
};

/* A network fault may let the copies overtake each other, or come twice. */
enum request_flag { REQUEST_ARMED = 1, REQUEST_DISORDERED = 2 };

#define ANSWERED 1

/* The first line has all that is needed to find a request or a place for one, the others have a request each: an
 * operation touches two lines. A print of 0 stands for an empty place. */
struct bucket {
	struct bpf_spin_lock lock;
	u16 state[BUCKET_WAYS]; /* what it would cost to forget the request, above its age: scoreboard.h */
	u64 print[BUCKET_WAYS];
	struct request request[BUCKET_WAYS];
};

#define SMALL_BYTES 256
#define LARGE_BYTES 2048

/* A frame that waits for its deadline. `number` is written last and says which of the queue's it is. Most requests touch
 * two cache lines. */
struct cell {
	u64 number;
	u64 deadline_ns;
	u32 length; /* 0: nothing waits here */
	u32 large;  /* 1 + the index of the large cell that has the bytes; 0: they are here */
	u64 pad;
	u8 bytes[SMALL_BYTES + 32];
};

struct large_cell {
	u64 number;
	u8 bytes[LARGE_BYTES + 24];
};

/* That the cell of this ticket needs no hedge. Apart from the cells and close together, so that an answer writes a line
 * that its CPU has written just before, not one of the asking CPU's. */
struct settled {
	u64 ticket;
};

/* Of a service. Its cells are a power of two of those there are, from `first_cell` on. */
struct queue {
	struct bpf_spin_lock lock;
	u32 alive; /* a sleeper is on its way, until wake_ns */
	u64 tail;
	u64 last_ns; /* deadline */
	u64 wake_ns;
	u32 generation; /* of the sleeper: an older one dies when it wakes */
	u32 broken;     /* the line does not delay: nothing is armed any more */
	u32 first_cell;
	u32 mask;
	u32 first_large;
	u32 large_mask;
	u32 large_tail;
	u32 pad;
	/* the next line is written by the sleeper only */
	u64 head;
	u64 asked_ns; /* for how long the sleeper went to sleep, and when */
	u64 asleep_ns;
	u64 sent;  /* in this trip */
	u32 quick; /* trips in a row that came back long before that */
	u32 pads[7];
};

/* The classes of the HTB clock: CLOCK_COPIES of each duration, of 1 to CLOCK_STEPS steps on three scales. */
#define CLOCK_STEPS 255
#define CLOCK_COPIES 3
#define CLOCK_CLASSES (3 * CLOCK_COPIES * 256)
#define CLOCK_STEP_0_NS 10000ULL
#define CLOCK_STEP_1_NS 2000000ULL
#define CLOCK_STEP_2_NS 500000000ULL
#define NO_CLASS 0xffffffff

struct clock {
	struct bpf_spin_lock lock;
	u32 next;
	u64 free_ns[CLOCK_CLASSES]; /* when each class will let the next packet pass at once */
};

/* Tokens are counted in millionths, so that fractions of a percent need no rounding. */
struct budget {
	struct bpf_spin_lock lock;
	u32 pad;
	u64 tokens;
	u64 per_request;
	u64 burst;
	u64 requests; /* all so far */
	u64 credited; /* of these, those whose shares are among the tokens */
};

struct lanes {
	struct bpf_spin_lock lock;
	u32 next;
	u64 free_ns[LANES]; /* when each lane takes the next request */
};

struct fault_rule {
	u64 first_id;
	u64 last_id; /* included */
	u64 threshold; /* probability in units of 2^-32 */
	u64 salt;
	u16 replica;
	u8 fault;
	u8 direction;
	u32 pad;
};

struct faults {
	u64 seed;
	struct line line; /* for FAULT_DELAY */
	u32 corrupt_ifindex;
	u32 count;
	struct fault_rule rules[MAX_FAULT_RULES];
};

struct saved_mark {
	u32 mark;
	u32 priority;
};

/* Which running number is in a mark. */
enum numbering { NUMBER_SAVED_MARKS = 0, NUMBER_CLONES = 1 };

struct numbers {
	struct bpf_spin_lock lock;
	u32 next;
};

struct event {
	u64 request_ns;
	u64 deadline_ns;
	u64 departure_ns;      /* EVENT_DEPARTURE */
	u64 first_response_ns; /* EVENT_ANSWER, or a departure after the answer */
	u64 id;
	u32 client[4];
	u32 block;
	u16 client_port;
	u16 service;
	u8 type;
	u8 copy;
	u8 replica;
	u8 winner;
	u32 pad;
};

#endif
