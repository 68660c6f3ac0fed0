/* core_lease.c - leases: grants, shares, turns, call-back, blocked workers, and all figures under random inputs */
#include <stdlib.h>
#include <string.h>
#include "core/lease.h"
#include "tap.h"

#define MS UINT64_C(1000000)

/* a world around the core: who has what, and how long a called lease takes to come back */
enum { PROCS = 64, HELD = 4096 };
static struct lease_core c;
static struct lease_out o;
static uint64_t now = 1000 * MS;
static uint32_t next_worker = 1000;
static struct held {
	uint64_t lease, actor, back;		/* back: when it is returned, 0: not called */
	uint32_t proc, worker;
	unsigned level;
} held[HELD];
static unsigned nheld, fails, ends, notices, broken;
static uint64_t slow;				/* ns that a called lease keeps running */
static char text[160];

static struct held *
find(uint64_t lease)
{
	for (unsigned i = 0; i < nheld; i++)
		if (held[i].lease == lease)
			return &held[i];
	return NULL;
}

static void
carry_out(void)
{
	for (size_t i = 0; i < o.n; i++) {
		struct lease_fx *fx = &o.fx[i];
		struct held *h = find(fx->lease);

		switch (fx->kind) {
		case LEASE_FX_RESERVED: break;
		case LEASE_FX_GRANT:
			if (!lease_live(&c, fx->lease))
				break;
			broken += nheld == HELD || h != NULL;
			held[nheld] = (struct held){ .lease = fx->lease, .actor = fx->actor, .proc = fx->proc,
			    .worker = fx->worker ? fx->worker : ++next_worker };
			if (!fx->worker)
				lease_bind(&c, fx->lease, held[nheld].worker);
			nheld++;
			break;
		case LEASE_FX_FAIL:
			fails++;
			memcpy(text, fx->text, sizeof text);
			break;
		case LEASE_FX_CALL:
			if (h && fx->level == 1)
				h->back = now + slow;
			if (h)
				h->level = fx->level;
			break;
		case LEASE_FX_END:
			ends++;
			break;
		case LEASE_FX_NOTICE:
			notices++;
			memcpy(text, fx->text, sizeof text);
			break;
		}
	}
	o.n = 0;
}

static void
step(struct lease_in in)
{
	lease_step(&c, now, &in, &o);
	carry_out();
	broken += lease_check(&c) != 0;
}

static void
ask(uint32_t proc, uint32_t job, int64_t cpus, uint64_t want)
{
	step((struct lease_in){ .kind = LEASE_IN_ASK, .proc = proc, .job = job, .shape = (uint64_t)cpus, .req = 1,
	    .need.v[RES_CPU] = cpus, .want = want });
}

static void
give_back(struct held *h)
{
	struct held was = *h;

	*h = held[--nheld];
	step((struct lease_in){ .kind = LEASE_IN_RETURN, .proc = was.proc, .lease = was.lease });
}

static void
gone(uint32_t proc)
{
	for (unsigned i = 0; i < nheld;)
		if (held[i].proc == proc || held[i].worker == proc)
			held[i] = held[--nheld];
		else
			i++;
	step((struct lease_in){ .kind = LEASE_IN_GONE, .proc = proc });
}

static unsigned
count(uint32_t proc)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nheld; i++)
		n += held[i].proc == proc;
	return n;
}

/* lets time pass; every process goes on wanting as much as it has and loses, if again is set */
static void
pass(uint64_t ns, const uint64_t *want)
{
	uint64_t end = now + ns;

	while (now < end) {
		uint64_t next = o.at && o.at > now && o.at < end ? o.at : end;

		for (unsigned i = 0; i < nheld; i++)
			if (held[i].back && held[i].back < next)
				next = held[i].back > now ? held[i].back : now;
		now = next > now ? next : now + 1;
		for (unsigned i = 0; i < nheld; i++)
			if (held[i].back && held[i].back <= now) {
				uint32_t p = held[i].proc;

				give_back(&held[i]);
				if (want)
					ask(p, p, 1000, want[p]);
				i = (unsigned)-1;
			}
		step((struct lease_in){ .kind = LEASE_IN_TICK });
	}
}

static void
ask_gpus(uint32_t proc, int64_t gpus, uint64_t want)
{
	step((struct lease_in){ .kind = LEASE_IN_ASK, .proc = proc, .job = proc, .shape = 1u << 20 | (uint64_t)gpus, .req = 1,
	    .need.v[RES_GPU] = gpus, .want = want });
}

static void
fresh(int64_t cpus)
{
	struct res total = { .v = { [RES_CPU] = cpus, [RES_MEM] = INT64_C(8) << 30 } };

	if (c.demands.next)
		lease_release(&c);
	lease_init(&c, &total, &(struct lease_limits){ 100, 100, 4 });
	nheld = fails = ends = notices = broken = 0;
	slow = MS;
	o.n = 0;
	o.at = 0;
}

static void
plain(void)
{
	unsigned ssd;

	fresh(2000);
	ask(1, 1, 1000, 2);
	ok(nheld == 2 && c.free.v[RES_CPU] == 0);
	ask(1, 1, 1000, 5);
	ok(nheld == 2);				/* no more than there is */
	ask(1, 1, 64000, 1);
	ok(fails == 1 && strcmp(text, "needs 64 cpus; this node has 2") == 0);
	ok((ssd = lease_resource(&c, "ssd", 3, true)) == RES_CUSTOM && lease_resource(&c, "ssd", 3, false) == ssd);
	step((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 1, .job = 1, .shape = 7, .need.v[RES_CUSTOM] = 1000, .want = 1 });
	ok(fails == 2 && strcmp(text, "needs 1 ssd; this node has 0") == 0);
	step((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 1, .job = 1, .shape = 8, .need.v[RES_CUSTOM] = 1000, .want = 1,
	    .wait = true });
	ok(fails == 2);				/* told to wait */
	ask(1, 1, 1000, 2);
	give_back(&held[0]);
	ok(nheld == 1 && c.nworker == 2);	/* it wants one less, its worker stays warm */
	ask(1, 1, 1000, 2);
	ok(nheld == 2 && c.nworker == 2 && next_worker == 1002);	/* and is used again */
	gone(held[0].worker);
	ok(nheld == 1 && c.nworker == 1 && c.free.v[RES_CPU] == 1000);
	gone(1);
	ok(nheld == 0 && ends == 1 && c.nworker == 0 && c.free.v[RES_CPU] == 2000);
	ok(broken == 0);
}

static void
shares(void)
{
	const uint64_t want[8] = { 2, 2, 2, 2, 2, 2, 2, 2 };
	uint64_t time[4] = { 0 };

	fresh(2000);
	ask(1, 1, 1000, 2);
	ask(2, 2, 1000, 2);
	ok(count(1) == 2 && count(2) == 0);
	pass(50 * MS, want);
	ok(count(1) == 1 && count(2) == 1);	/* shared, after the shortest hold */
	gone(1);
	pass(10 * MS, want);
	ok(count(2) == 2);			/* lent beyond the share while nobody else asks */

	fresh(2000);
	for (uint32_t p = 1; p < 4; p++)
		ask(p, p, 1000, 2);
	for (int i = 0; i < 2000; i++) {
		pass(5 * MS, want);
		for (uint32_t p = 1; p < 4; p++)
			time[p] += count(p);
	}
	for (uint32_t p = 1; p < 4; p++)	/* three on two CPUs: turns */
		ok(time[p] > 4000 * 2 / 3 * 7 / 10 / 2);
	ok(broken == 0);

	fresh(2000);
	ask(1, 1, 1000, 2);
	step((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 2, .job = 2, .shape = 1, .need.v[RES_CPU] = 1000, .want = 2,
	    .priority = 5 });
	pass(200 * MS, want);
	ok(count(2) == 2);			/* priority before shares */
	pass(1000 * MS, want);
	ok(count(2) == 2 && broken == 0);
}

static void
large(void)			/* a request for all CPUs gets them though small ones keep coming */
{
	const uint64_t want[8] = { 2, 2, 2, 2, 2, 2, 2, 2 };

	fresh(2000);
	slow = 5 * MS;
	ask(1, 1, 1000, 2);
	ask(3, 3, 1000, 2);
	ask(2, 2, 2000, 1);
	for (int i = 0; i < 400 && count(2) == 0; i++)
		pass(5 * MS, want);
	ok(count(2) == 1 && nheld == 1 && broken == 0);
}

static void
stubborn(void)			/* a submitter that does not give back is pressed, then taken from */
{
	fresh(1000);
	slow = 100000 * MS;
	ask(1, 1, 1000, 1);
	ask(2, 2, 1000, 1);
	pass(110 * MS, NULL);
	ok(count(1) == 1 && held[0].level == 1);
	pass(110 * MS, NULL);
	ok(held[0].level >= 2);
	pass(50 * MS, NULL);
	ok(held[0].level == 3);
	give_back(&held[0]);
	ok(count(2) == 1 && broken == 0);
}

static void
recall(void)			/* all are called back at once, and what is still wanted is granted again */
{
	fresh(2000);
	slow = 100000 * MS;
	ask(1, 1, 1000, 1);
	ask(2, 2, 1000, 1);
	step((struct lease_in){ .kind = LEASE_IN_RECALL });
	ok(nheld == 2 && held[0].level == 1 && held[1].level == 1);
	step((struct lease_in){ .kind = LEASE_IN_RECALL });
	ok(broken == 0);
	pass(LEASE_GRACE, NULL);
	ok(held[0].level == 2 && held[1].level == 2);
	give_back(&held[0]);
	give_back(&held[0]);
	ok(nheld == 0 && broken == 0);
	ask(1, 1, 1000, 1);
	ok(count(1) == 1 && held[0].level == 0);
}

static void
blocked(void)
{
	fresh(1000);
	ask(1, 1, 1000, 1);
	ask(held[0].worker, 1, 1000, 1);	/* its worker submits too */
	ok(nheld == 1);
	step((struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = held[0].worker, .on = true });
	ok(nheld == 2);
	step((struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = held[0].worker, .on = false });
	ok(c.free.v[RES_CPU] == -1000);		/* over for a while: nobody is killed for it */
	give_back(&held[1]);
	ok(c.free.v[RES_CPU] == 0 && nheld == 1);
	/* idle, and stopped: nobody gets it before it goes on */
	{
		uint32_t w = held[0].worker;

		give_back(&held[0]);
		step((struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = w, .on = true });
		ask(1, 1, 1000, 1);
		ok(nheld == 1 && held[0].worker != w);
		give_back(&held[0]);
		step((struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = w, .on = false });
		ok(nheld == 0 && broken == 0);
	}
	/* depth: each blocked worker makes room for the next, up to the limit of workers */
	gone(1);
	fresh(1000);
	ask(1, 1, 1000, 1);
	for (int i = 0; i < 150; i++) {
		uint32_t w = held[nheld - 1].worker;

		step((struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = w, .on = true });
		ask(w, 1, 1000, 1);
	}
	ok(nheld == 100 && c.nworker == 100 && broken == 0);
}

static void
actors(void)
{
	fresh(2000);
	for (uint64_t a = 1; a <= 50; a++)
		step((struct lease_in){ .kind = LEASE_IN_PLACE, .actor = a, .job = 1, .want = 1 });
	ok(nheld == 50 && c.nactor == 50);	/* none takes a CPU */
	step((struct lease_in){ .kind = LEASE_IN_PLACE, .actor = 99, .job = 1, .want = 1, .need.v[RES_CPU] = 2000 });
	ok(nheld == 51 && c.free.v[RES_CPU] == 0);
	ask(1, 1, 1000, 1);
	pass(1000 * MS, NULL);
	ok(count(1) == 0);			/* never called back */
	step((struct lease_in){ .kind = LEASE_IN_PLACE, .actor = 100, .job = 1, .want = 1, .need.v[RES_CPU] = 1000 });
	step((struct lease_in){ .kind = LEASE_IN_UNPLACE, .actor = 100 });
	gone(held[50].worker);
	ok(count(1) == 1 && find(0) == NULL && broken == 0);
	step((struct lease_in){ .kind = LEASE_IN_NOFORK, .lease = held[0].lease });
	ok(c.nactor == 49 && broken == 0);
	/* a task's lease without a worker is still wanted: its process never heard of it */
	gone(1);
	fresh(2000);
	ask(1, 1, 1000, 1);
	ok(nheld == 1);
	step((struct lease_in){ .kind = LEASE_IN_NOFORK, .lease = held[--nheld].lease });
	ok(nheld == 0 && c.nworker == 0 && broken == 0);
	pass(1000 * MS, NULL);
	ok(nheld == 1 && c.nworker == 1 && broken == 0);
}

static void
gpus(void)
{
	struct res total = { .v = { [RES_CPU] = 8000, [RES_GPU] = 2000 } };
	uint64_t all = 0;

	fresh(8000);
	lease_release(&c);
	lease_init(&c, &total, &(struct lease_limits){ 100, 100, 4 });
	ask_gpus(1, 1500, 1);
	ok(fails == 1 && strstr(text, "needs 1.5 gpus: a part of one, or whole ones"));
	ask_gpus(1, 3000, 1);
	ok(fails == 2 && strstr(text, "needs 3 gpus; this node has 2"));
	ask_gpus(1, 600, 3);
	ok(count(1) == 2);			/* 0.8 are left, but no 0.6 of one */
	for (unsigned i = 0; i < nheld; i++)
		all |= lease_devices(&c, held[i].worker);
	ok(all == 3 && c.free.v[RES_GPU] == 800);
	ask_gpus(2, 400, 2);
	ok(count(2) == 2);
	give_back(&held[0]);
	ok(ends == 1 && count(1) == 2);		/* its worker ends; a fresh one gets the device */
	ask_gpus(3, 1000, 1);			/* another job: a lease of those who have two is called back, and in the end one device is whole */
	ask_gpus(1, 600, 1);
	ask_gpus(2, 400, 1);
	pass(3000 * MS, NULL);
	ok(count(3) == 1 && broken == 0);
	ask(4, 4, 1000, 1);
	give_back(find(0) ? &held[0] : &held[nheld - 1]);
	ok(broken == 0);
}

/* a worker that retires is called back, and ends with its lease; nobody else gets it */
static void
retire(void)
{
	uint32_t w;

	fresh(1000);
	ask(1, 1, 1000, 1);
	w = held[0].worker;
	step((struct lease_in){ .kind = LEASE_IN_RETIRE, .proc = w });
	ok(held[0].level == 1 && ends == 0);
	step((struct lease_in){ .kind = LEASE_IN_RETIRE, .proc = w });
	ask(1, 1, 1000, 2);			/* the one that comes back is still wanted */
	give_back(&held[0]);
	ok(ends == 1 && count(1) == 1 && held[0].worker != w && broken == 0);
	w = held[0].worker;
	give_back(&held[0]);
	ask(1, 1, 1000, 0);
	step((struct lease_in){ .kind = LEASE_IN_RETIRE, .proc = w });	/* while it is idle */
	ok(ends == 2 && c.nworker == 0);
	step((struct lease_in){ .kind = LEASE_IN_RETIRE, .proc = w });
	ok(broken == 0);
}

/* who waits for five seconds is told once what for, and again when it has to wait again */
static void
waiting(void)
{
	fresh(2000);
	slow = 3600000 * MS;
	step((struct lease_in){ .kind = LEASE_IN_PLACE, .actor = 1, .job = 1, .want = 1, .need.v[RES_CPU] = 2000 });
	ask(1, 1, 1000, 1);
	pass(4999 * MS, NULL);
	ok(notices == 0);
	pass(2 * MS, NULL);
	ok(notices == 1 && strcmp(text, "waiting for 1 CPU: 0 of 2 free") == 0);
	pass(60000 * MS, NULL);
	ok(notices == 1);
	gone(held[0].worker);
	ok(count(1) == 1 && o.at == 0);		/* nothing is left to be looked at */
	give_back(&held[0]);
	step((struct lease_in){ .kind = LEASE_IN_PLACE, .actor = 2, .job = 1, .want = 1, .need.v[RES_CPU] = 1500 });
	ask(1, 1, 1000, 1);
	pass(6000 * MS, NULL);
	ok(notices == 2 && strcmp(text, "waiting for 1 CPU: 0.5 of 2 free") == 0);
	step((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 5, .job = 1, .shape = 9, .need.v[RES_CPU] = 5000, .want = 1, .wait = true });
	pass(6000 * MS, NULL);
	ok(notices == 3 && strcmp(text, "waiting for 5 CPUs: this node has 2") == 0);
	ok(broken == 0);
}

/* actors that need the same wait in one line: in order, told of once, and each may leave it */
static void
line(void)
{
	fresh(2000);
	for (uint64_t a = 1; a <= 100; a++)
		step((struct lease_in){ .kind = LEASE_IN_PLACE, .actor = a, .job = 1, .want = 1, .need.v[RES_CPU] = 1000 });
	step((struct lease_in){ .kind = LEASE_IN_PLACE, .actor = 50, .job = 1, .want = 1, .need.v[RES_CPU] = 1000 });
	ok(nheld == 2 && held[0].actor == 1 && held[1].actor == 2);
	step((struct lease_in){ .kind = LEASE_IN_UNPLACE, .actor = 3 });
	step((struct lease_in){ .kind = LEASE_IN_UNPLACE, .actor = 3 });
	step((struct lease_in){ .kind = LEASE_IN_UNPLACE, .actor = 7 });
	pass(6000 * MS, NULL);
	ok(notices == 1 && strcmp(text, "waiting for 1 CPU: 0 of 2 free; 95 more wait behind it") == 0);
	for (uint64_t a = 4; a <= 100; a++) {
		if (a == 7)
			continue;
		gone(held[0].worker);
		if (nheld != 2 || held[1].actor != a)
			break;
	}
	ok(nheld == 2 && held[1].actor == 100 && broken == 0);
	gone(held[0].worker);
	gone(held[0].worker);
	ok(nheld == 0 && list_empty(&c.demands) && c.placing.n == 0 && notices == 1);
}

/* other threads, another worker */
static void
threads(void)
{
	uint32_t w;

	fresh(4000);
	ask(1, 1, 1000, 1);
	w = held[0].worker;
	give_back(&held[0]);
	ask(1, 1, 1000, 0);
	step((struct lease_in){ .kind = LEASE_IN_ASK, .proc = 1, .job = 1, .shape = 7, .need.v[RES_CPU] = 1000, .want = 1, .threads = 1 });
	ok(nheld == 1 && held[0].worker != w);
	ask(1, 1, 1000, 1);
	ok(nheld == 2 && held[1].worker == w && broken == 0);
}

static unsigned
called(unsigned level)			/* leases that were called back, at this level at least */
{
	unsigned n = 0;

	for (unsigned i = 0; i < nheld; i++)
		n += held[i].level >= level;
	return n;
}

/* each period of lease.h, to the ns */
static void
periods(void)
{
	fresh(3000);
	slow = 3600000 * MS;
	ask(1, 1, 1000, 3);
	ask(2, 2, 1000, 1);
	pass(LEASE_HOLD - 1, NULL);
	ok(called(1) == 0);
	pass(1, NULL);
	ok(called(1) == 1);			/* above its share for LEASE_HOLD: as many as are wanted */
	pass(LEASE_GRACE - 1, NULL);
	ok(called(2) == 0);
	pass(1, NULL);
	ok(called(2) == 1);
	pass(LEASE_TAKE - 1, NULL);
	ok(called(3) == 0);
	pass(1, NULL);
	ok(called(3) == 1);
	pass(LEASE_LATE - LEASE_GRACE - LEASE_TAKE - 1, NULL);
	ok(called(1) == 1);			/* it is on its way */
	pass(1, NULL);
	ok(called(1) == 2);			/* it does not come: another one is called back */
	for (unsigned i = 0; i < nheld; i++)
		if (held[i].level == 1) {
			give_back(&held[i]);
			break;
		}
	ok(count(1) == 2 && count(2) == 1 && called(1) == 1);
	give_back(held[0].level ? &held[0] : held[1].level ? &held[1] : &held[2]);
	ok(called(1) == 0 && c.free.v[RES_CPU] == 1000);	/* and comes at last: it is free for anybody */
	ask(3, 3, 1000, 1);
	ok(count(3) == 1 && broken == 0);

	fresh(1000);				/* as much as its share: turns */
	slow = 3600000 * MS;
	ask(1, 1, 1000, 1);
	ask(2, 2, 1000, 1);
	pass(LEASE_SLICE - 1, NULL);
	ok(called(1) == 0);
	pass(1, NULL);
	ok(called(1) == 1);

	fresh(2000);				/* a large one: what came back for it is nobody's for LEASE_RESERVE */
	slow = 3600000 * MS;
	ask(1, 1, 1000, 2);
	ask(2, 2, 2000, 1);
	pass(LEASE_SLICE, NULL);
	ok(called(1) > 0);
	give_back(held[0].level ? &held[0] : &held[1]);
	ask(3, 3, 1000, 1);
	pass(LEASE_RESERVE - 1, NULL);
	ok(count(2) == 0 && count(3) == 0 && c.free.v[RES_CPU] == 1000);
	pass(1, NULL);
	ok(count(3) == 1 && broken == 0);

	fresh(1000);
	slow = 3600000 * MS;
	ask(1, 1, 1000, 1);
	ask(2, 2, 1000, 1);
	pass(LEASE_NOTICE - 1, NULL);
	ok(notices == 0);
	pass(1, NULL);
	ok(notices == 1);
}

/* so many kinds of workers a process may wait for, and no more */
static void
kinds(void)
{
	struct lease_in in = { .kind = LEASE_IN_ASK, .proc = 1, .job = 1, .req = 1, .need.v[RES_CPU] = 1000, .want = 1 };

	fresh(1000);
	ask(2, 2, 1000, 1);
	while (in.shape++ < LEASE_DEMANDS && fails == 0)
		step(in);
	ok(fails == 0);
	step(in);
	ok(fails == 1 && strcmp(text, "this process waits for 1024 kinds of workers already") == 0);
	in.shape = 5;
	in.want = 2;
	step(in);				/* one of those: not a new one */
	in.proc = 3;
	in.shape = 5000;
	step(in);				/* another process */
	ok(fails == 1);
	in.proc = 1;
	in.shape = 7;
	in.want = 0;
	step(in);				/* it waits for one less */
	in.shape = 5001;
	in.want = 1;
	step(in);
	ok(fails == 1 && broken == 0);
}

static void
random_inputs(unsigned seed)
{
	srandom(seed);
	fresh(4000);
	lease_release(&c);
	lease_init(&c, &(struct res){ .v = { [RES_CPU] = 4000, [RES_GPU] = 3000 } }, &(struct lease_limits){ 100, 100, 4 });
	for (int i = 0; i < 4000; i++) {
		uint32_t p = 1 + (uint32_t)(random() % 12);
		struct held *h = nheld ? &held[(unsigned)random() % nheld] : NULL;

		slow = (uint64_t)(random() % 30) * MS;
		switch (random() % 10) {
		case 0: ask_gpus(p, random() % 2 ? 1 + random() % 1000 : 1000 * (1 + random() % 3), (uint64_t)(random() % 4)); break;
		case 1: case 2: ask(p, p % 4, (1 + random() % 5) * 500, (uint64_t)(random() % 4)); break;
		case 3:
			if (h && random() % 4 == 0)
				step((struct lease_in){ .kind = LEASE_IN_RETIRE, .proc = h->worker });
			else if (h)
				give_back(h);
			break;
		case 4: if (h) gone(h->worker); break;
		case 5: if (random() % 8 == 0) gone(p); break;
		case 6: case 7:
			if (h)
				step((struct lease_in){ .kind = LEASE_IN_BLOCKED, .proc = h->worker, .on = random() & 1 });
			break;
		case 8: pass((uint64_t)(random() % 40) * MS, NULL); break;
		case 9:
			if (h)			/* a worker that submits */
				ask(h->worker, p % 4, 1000, (uint64_t)(random() % 2));
			break;
		}
	}
	while (nheld)
		gone(held[0].worker);
	for (uint32_t p = 1; p < 13; p++)
		gone(p);
	for (unsigned i = 0; i < RES_MAX; i++)
		broken += c.free.v[i] != c.total.v[i];
}

int
main(void)
{
	unsigned bad = 0;

	plain();
	shares();
	large();
	stubborn();
	recall();
	blocked();
	actors();
	gpus();
	retire();
	waiting();
	line();
	threads();
	periods();
	kinds();
	for (unsigned seed = 1; seed <= 20; seed++) {
		random_inputs(seed);
		if (broken && !bad)
			printf("# seed %u: %d\n", seed, lease_check(&c));
		bad += broken;
	}
	ok(bad == 0);
	lease_release(&c);
	free(o.fx);
	return tap_done();
}
