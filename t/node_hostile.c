/* node_hostile.c - clients that send what no client sends: every message with odd fields, of wrong types, with wrong
 * descriptors, cut, stretched and out of place.  The node ends their connections at most; its daemon lives and serves.
 */
#include <fcntl.h>
#include <time.h>
#include "base/num.h"
#include "peer.h"
#include "tap.h"
#include "wire/le.h"

enum { ROUNDS = 400, FRAMES = 12 };

static const struct {
	const char *kinds;
	unsigned type;
} message[] = {
#define KIND(kind, field, doc) #kind
#define X(NAME, name, code, fds, dir) { MSG_##NAME(KIND), code },
	MSG_MAP(X)
#undef X
#undef KIND
};

static uint64_t state;
static uint64_t proc;			/* of the good one, and near those of others */
static char node_dir[64];

static unsigned
dice(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20) % n;
}

static uint64_t
number(void)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 7, 1000, 4096, 65535, 65536, 1u << 20, INT32_MAX, UINT32_MAX, 1ull << 32, 1ull << 40,
	    INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 63 };

	switch (dice(4)) {
	case 0:
		return odd[dice(sizeof odd / sizeof *odd)];
	case 1:
		return proc + dice(5) - 2;
	default:
		return dice(6);
	}
}

static unsigned char *
bytes(unsigned char *p, bool text)
{
	static unsigned char v[70000];
	static const char *const words[] = { "", "nodes", "workers", "objects", "actors", "tasks", "groups", "mem", "sets", "a\0b", "../../x", "%s%n", "\xff" };
	size_t n = dice(20) == 0 ? dice(sizeof v) : dice(4) * 4u * (1 + dice(5)), i;
	const char *w = words[dice(sizeof words / sizeof *words)];
	unsigned char *q = v;

	switch (dice(text ? 2 : 5)) {
	case 0:
		n = strlen(w);
		memcpy(v, w, n);
		break;
	case 1:
		for (i = 0; i < n; i++)
			v[i] = (unsigned char)dice(256);
		break;
	case 2:					/* numbers and offsets as most fields have them */
		for (i = 0; i + 4 <= n; i += 4)
			le_put32(v + i, (uint32_t)number());
		break;
	default:				/* small msgpack */
		for (q = dice(2) ? mp_w_map_head(v, dice(4)) : mp_w_array_head(v, dice(6)), i = dice(8); i > 0; i--)
			switch (dice(4)) {
			case 0: q = mp_w_str(q, w, strlen(w)); break;
			case 1: q = mp_w_bin(q, v, (size_t)(q - v) < 64 ? (size_t)(q - v) : 64); break;
			case 2: q = mp_w_array_head(q, dice(3)); break;
			default: q = mp_w_uint(q, number());
			}
		n = (size_t)(q - v);
	}
	return text ? mp_w_str(p, v, n) : mp_w_bin(p, v, n);
}

static unsigned char *
field(unsigned char *p, char kind)
{
	unsigned char id[16];

	if (dice(60) == 0)
		kind = "UISBD"[dice(5)];	/* of a wrong type */
	switch (kind) {
	case 'U': return mp_w_uint(p, number());
	case 'I': return mp_w_int(p, (int64_t)number());
	case 'D':
		le_put32(id, dice(4) ? 1 : (uint32_t)number());
		le_put32(id + 4, (uint32_t)(proc + dice(4) - 2));
		le_put64(id + 8, number());
		return mp_w_bin(p, id, sizeof id);
	default: return bytes(p, kind == 'S');
	}
}

static void
frame(struct buf *b, unsigned nfd)
{
	unsigned k, n;
	unsigned char *head, *p;
	const char *kinds;
	struct frame f;

	do
		k = dice(sizeof message / sizeof *message);
	while (message[k].type == MSG_STOP_T);	/* they may */
	kinds = message[k].kinds;
	n = (unsigned)strlen(kinds);
	f = (struct frame){ .type = (uint16_t)message[k].type, .version = MSG_PROTO, .nfd = (uint16_t)nfd };

	PEER_NEED(buf_reserve(b, (size_t)1 << 20) == 0);
	head = b->data + b->len;
	if (dice(40) == 0)
		n = dice(n + 4);
	p = mp_w_array_head(head + FRAME_HEAD, n);
	for (unsigned i = 0; i < n; i++)
		p = field(p, i < strlen(kinds) ? kinds[i] : 'U');
	f.len = (uint32_t)(p - head - FRAME_HEAD);
	if (dice(60) == 0)
		f.len += dice(9) - 4;
	if (dice(100) == 0)
		f.len = (uint32_t)number();
	frame_pack(head, &f);
	b->len = (size_t)(p - b->data);
	if (dice(50) == 0)
		head[dice(FRAME_HEAD)] ^= (unsigned char)(1u << dice(8));
}

static int
descriptor(void)
{
	int p[2], fd;

	switch (dice(4)) {
	case 0:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 1:
		PEER_NEED(pipe2(p, O_CLOEXEC) == 0);
		close(p[0]);
		return p[1];
	default:
		if ((fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING)) >= 0)
			(void)!ftruncate(fd, (off_t)dice(3) * 65536);
		return fd;
	}
}

static void
drain(int fd)				/* what it says, and the descriptors in it */
{
	unsigned char v[65536];
	int fds[FD_MAX], n = FD_MAX;

	while (fd_recv(fd, v, sizeof v, fds, &n) > 0) {
		for (int i = 0; i < n; i++)
			close(fds[i]);
		n = FD_MAX;
	}
}

static void
attack(const char *name, bool node)	/* as a client of rlet, or as a node of rgcs */
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), fds[FD_MAX];
	struct buf b = BUF_INIT;

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/%s", node_dir, name);
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		close(fd);
		return;
	}
	if (dice(10)) {				/* most are let in */
		struct msg_hello m = { .proto_min = 1, .proto_max = 1, .role = 1 + dice(4), .pid = (uint64_t)getpid(), .name = span_of("bad", 3) };

		PEER_NEED((node ? msg_put_node_join(&b, &(struct msg_node_join){ .name = span_of("bad", 3) }) : msg_put_hello(&b, &m)) == 0);
		(void)!write(fd, b.data, b.len);
		usleep(dice(1000));
	}
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned nfd = dice(4) ? 0 : dice(4), sent = dice(8) ? nfd : dice(4);
		size_t at = 0;

		b.len = 0;
		frame(&b, nfd);
		for (unsigned k = 0; k < sent; k++)
			fds[k] = descriptor();
		if (dice(20) == 0)
			at = dice((unsigned)b.len);	/* a part of it */
		(void)!fd_send(fd, b.data, b.len - at, fds, (int)sent);
		for (unsigned k = 0; k < sent; k++)
			close(fds[k]);
		drain(fd);
	}
	buf_release(&b);
	close(fd);
}

static pid_t
daemon_of(pid_t keeper)
{
	char path[64];
	int pid = -1;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	if ((f = fopen(path, "r")) != NULL) {
		if (fscanf(f, "%d", &pid) != 1)
			pid = -1;
		fclose(f);
	}
	return pid;
}

static void
store(void)
{
	char dir[] = "/tmp/rota-test-XXXXXX", text[128], num[16], c;
	struct peer p = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int ready[2], status;
	struct got g;
	pid_t pid;

	PEER_NEED(mkdtemp(dir) && pipe(ready) == 0);
	setenv("ROTA_DIR", dir, 1);
	snprintf(node_dir, sizeof node_dir, "%s", dir);
	snprintf(text, sizeof text, "%s/state", dir);
	if ((pid = fork()) == 0) {
		snprintf(num, sizeof num, "%d", ready[1]);
		close(ready[0]);
		execlp("rgcs", "rgcs", "-q", "--dir", text, "--ready-fd", num, (char *)NULL);
		_exit(127);
	}
	close(ready[1]);
	PEER_NEED(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	proc = 3;
	for (unsigned i = 0; i < ROUNDS && waitpid(pid, &status, WNOHANG) == 0; i++)
		attack("gcs.sock", true);
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/gcs.sock", dir);
	ok(connect(p.fd, (struct sockaddr *)&sa, sizeof sa) == 0);
	PEER_SEND(&p, node_join, .name = span_of("n", 1), .cpus = 1000);
	if (ok(peer_wait(&p, &g, MSG_NODE_JOINED_T) == 1))
		peer_done(&p, &g);
	kill(pid, SIGTERM);
	ok(waitpid(pid, &status, 0) == pid && status == 0);
	peer_close(&p);
	snprintf(text, sizeof text, "rm -rf '%s'", dir);
	(void)!system(text);
}

int
main(int argc, char **argv)
{
	static struct buf rows;
	struct peer a;
	uint64_t seed = 0;
	pid_t pid;

	if (argc < 2 || num_u64(argv[1], &seed) < 0 || seed == 0)
		seed = (uint64_t)time(NULL);
	state = seed;
	printf("# seed %llu\n", (unsigned long long)seed);
	signal(SIGPIPE, SIG_IGN);
	peer_start("--store", "64M");
	snprintf(node_dir, sizeof node_dir, "%s", peer_dir);
	peer_open(&a, ROLE_DRIVER);
	proc = a.w.proc;
	pid = daemon_of(peer_rlet);
	ok(pid > 0);
	for (unsigned i = 0; i < ROUNDS && tap_bad == 0; i++) {
		attack("shared.sock", false);
		if (i % 20 == 0) {
			proc = a.w.proc + dice(i + 2);
			if (peer_list(&a, "nodes", &rows) != 1 || daemon_of(peer_rlet) != pid) {
				printf("# round %u\n", i);
				ok(!"served");
			}
		}
	}
	ok(peer_list(&a, "nodes", &rows) == 1);
	ok(daemon_of(peer_rlet) == pid);
	peer_close(&a);
	ok(peer_stop() == 0);
	store();
	return tap_done();
}
