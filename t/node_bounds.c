/* node_bounds.c - whatever clients do, rlet and rgcs stay small and serve the others: floods, silence, who never reads */
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "peer.h"
#include "tap.h"

enum { CONNECTS = 10000, LEFT = 600, LISTS = 400000, SHAPES = 5000 };

static struct peer a;

static unsigned
descriptors(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	if ((d = opendir(path)) == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static size_t
anon_kib(pid_t pid)			/* private memory */
{
	char path[64], line[128];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "RssAnon: %lu", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static bool
served(void)				/* a is answered */
{
	static struct buf rows;

	return peer_list(&a, "nodes", &rows) == 1;
}

static int
dial(const char *dir, const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/%s", dir, name);
	PEER_NEED(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0);
	return fd;
}

/* waits until fd is at its end: how many bytes came before, or -1 */
static ssize_t
end_of(int fd, char *b, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t k;

	for (;;) {
		if (poll(&p, 1, PEER_MS) != 1)
			return -1;
		if ((k = read(fd, b + len, n - len)) <= 0)
			return k == 0 || errno == ECONNRESET ? (ssize_t)len : -1;
		len += (size_t)k;
	}
}

static void
strangers(void)				/* ten thousand connect and say nothing; the last ones stay open */
{
	size_t before = anon_kib(peer_rlet);
	unsigned fds = descriptors(peer_rlet), most = 0, deaf = 0;
	static int fd[CONNECTS];
	struct msg_fail m;
	struct frame f;
	char b[512];
	ssize_t n;

	for (unsigned i = 0; i < CONNECTS; i++) {
		fd[i] = dial(peer_dir, "shared.sock");
		if (i >= LEFT) {
			n = end_of(fd[i - LEFT], b, sizeof b);	/* it was dropped, and was told why */
			deaf += n <= 0 || frame_parse(&f, (unsigned char *)b, (size_t)n, FRAME_MAX) <= 0 || f.type != MSG_FAIL_T ||
			    msg_get_fail(&m, f.body, f.len) < 0 || m.code != -ETIMEDOUT;
			close(fd[i - LEFT]);
		}
		if (i % 1000 == 0) {
			unsigned now = descriptors(peer_rlet);

			most = now > most ? now : most;
			PEER_NEED(served());
		}
	}
	printf("# descriptors %u, then at most %u; KiB %zu, then %zu; not told %u\n", fds, most, before, anon_kib(peer_rlet), deaf);
	ok(deaf == 0);
	ok(most < fds + 2 * 256 + 40);
	ok(anon_kib(peer_rlet) < before + 8192);
	for (unsigned i = CONNECTS - LEFT; i < CONNECTS; i++)
		close(fd[i]);
	ok(served());
}

/* what is left of peers that were dropped is not looked for: the daemon is another process */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void
never_reads(unsigned role)		/* asks and asks */
{
	size_t before = anon_kib(peer_rlet), most = 0;
	struct peer b;
	struct buf m = BUF_INIT;
	unsigned i;
	int e = 0;

	peer_open(&b, role);
	PEER_NEED(msg_put_list(&m, &(struct msg_list){ .req = 1, .what = span_of("nodes", 5) }) == 0);
	for (i = 0; i < LISTS && e == 0; i++) {
		e = fd_write_all(b.fd, m.data, m.len);
		if (i % 2000 == 0) {
			size_t now = anon_kib(peer_rlet);

			most = now > most ? now : most;
			PEER_NEED(served());
		}
	}
	printf("# %u requests, then %d; KiB %zu, at most %zu\n", i, e, before, most);
	ok(e < 0);				/* it was dropped */
	ok(most < before + (32 << 10));
	ok(served());
	buf_release(&m);
	close(b.fd);
}

static void
shapes(void)				/* one that waits for more kinds of workers than there can be */
{
	unsigned refused = 0;
	struct msg_fail m;
	struct peer b;
	struct got g;

	peer_open(&b, ROLE_DRIVER);
	for (unsigned i = 1; i <= SHAPES; i++)
		PEER_SEND(&b, lease, .req = i, .shape = i, .cpus = 1000 + i % 100, .want = 1, .wait = 1);
	PEER_SEND(&b, list, .req = 1 << 21, .what = span_of("nodes", 5));
	for (;;) {
		PEER_NEED(peer_next(&b, &g, PEER_MS) == 1);
		if (g.type == MSG_FAIL_T && msg_get_fail(&m, g.p, g.n) == 0)
			refused++;
		if (g.type == MSG_ROWS_T)
			break;
		peer_done(&b, &g);
	}
	printf("# %u of %u refused\n", refused, (unsigned)SHAPES);
	ok(refused >= SHAPES - 1024 - 16 && refused < SHAPES);
	ok(served());
	peer_close(&b);
}

static void
few_descriptors(void)			/* programs cannot take what workers need */
{
	const struct rlimit few = { 400, 400 };
	static struct peer p[400];
	unsigned n = 0, refused = 0;
	struct msg_fail m;
	struct got g;

	peer_close(&a);
	PEER_NEED(peer_stop() == 0);
	if ((peer_rlet = fork()) == 0) {	/* the limit is a child's only: rlet's */
		setrlimit(RLIMIT_NOFILE, &few);
		mkdir(peer_dir, 0700);
		execlp("rlet", "rlet", "-p", "-c", "2", (char *)NULL);
		_exit(127);
	}
	for (int fd = -1; fd < 0;) {
		struct sockaddr_un sa = { .sun_family = AF_UNIX };

		snprintf(sa.sun_path, sizeof sa.sun_path, "%s/shared.sock", peer_dir);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
			close(fd);
			fd = -1;
			poll(NULL, 0, 1);
		} else {
			close(fd);
		}
	}
	for (unsigned i = 0; i < 100; i++) {
		peer_connect(&p[n]);
		PEER_SEND(&p[n], hello, .proto_min = MSG_PROTO, .proto_max = MSG_PROTO, .role = ROLE_DRIVER, .name = span_of("many", 4));
		PEER_NEED(peer_next(&p[n], &g, PEER_MS) == 1);
		if (g.type == MSG_FAIL_T) {
			refused += msg_get_fail(&m, g.p, g.n) == 0 && m.code == ERR_FULL;
			peer_done(&p[n], &g);
			close(p[n].fd);
			continue;
		}
		PEER_NEED(g.type == MSG_WELCOME_T);
		peer_done(&p[n++], &g);
	}
	printf("# %u served, %u refused\n", n, refused);
	ok(n >= 8 && refused > 0 && n + refused == 100);
	PEER_SEND(&p[0], lease, .req = 1, .shape = 1, .cpus = 1000, .want = 1);
	ok(peer_wait(&p[0], &g, MSG_GRANT_T) == 1);	/* and there is room for a worker */
	peer_done(&p[0], &g);
	for (unsigned i = 0; i < n; i++) {
		PEER_SEND(&p[i], bye, .reason = 0);
		close(p[i].fd);
	}
	ok(peer_stop() == 0);
}

static void
store(void)				/* rgcs: ten thousand connect and say nothing */
{
	char dir[] = "/tmp/rota-test-XXXXXX", state[128], num[16], c;
	static int fd[CONNECTS];
	unsigned most = 0, fds;
	size_t before;
	pid_t pid;
	int p[2];

	PEER_NEED(mkdtemp(dir) && pipe(p) == 0);
	setenv("ROTA_DIR", dir, 1);
	snprintf(state, sizeof state, "%s/state", dir);
	if ((pid = fork()) == 0) {
		snprintf(num, sizeof num, "%d", p[1]);
		close(p[0]);
		execlp("rgcs", "rgcs", "-q", "--dir", state, "--ready-fd", num, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	PEER_NEED(read(p[0], &c, 1) == 1);
	close(p[0]);
	fds = descriptors(pid);
	before = anon_kib(pid);
	for (unsigned i = 0; i < CONNECTS; i++) {
		char b[64];

		fd[i] = dial(dir, "gcs.sock");
		if (i >= LEFT) {
			PEER_NEED(end_of(fd[i - LEFT], b, sizeof b) == 0);
			close(fd[i - LEFT]);
		}
		if (i % 1000 == 0) {
			unsigned now = descriptors(pid);

			most = now > most ? now : most;
		}
	}
	printf("# rgcs: descriptors %u, then at most %u; KiB %zu, then %zu\n", fds, most, before, anon_kib(pid));
	ok(most < fds + 256 + 40 && anon_kib(pid) < before + 8192);
	a.fd = dial(dir, "gcs.sock");		/* a node still joins */
	PEER_SEND(&a, node_join, .name = span_of("n", 1), .cpus = 1000);
	{
		struct got g;

		ok(peer_wait(&a, &g, MSG_NODE_JOINED_T) == 1);
		peer_done(&a, &g);
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	snprintf(state, sizeof state, "rm -rf '%s'", dir);
	ok(system(state) == 0);
}

int
main(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	signal(SIGPIPE, SIG_IGN);
	peer_start("-c", "2");
	peer_open(&a, ROLE_TOOL);
	strangers();
	never_reads(ROLE_TOOL);
	never_reads(ROLE_DRIVER);
	shapes();
	few_descriptors();
	store();
	return tap_done();
}
