/* node_hostile.c - clients that send what no client sends: every message with odd fields, of wrong types, with wrong
 * descriptors, cut, stretched and out of place.  The node ends their connections at most; its daemon lives and serves.
 */
#include <fcntl.h>
#include <time.h>
#include "base/num.h"
#include "tap.h"
#include "peer.h"
#include "odd.h"

enum { ROUNDS = 400, FRAMES = 12 };

static char node_dir[64];

static int
descriptor(void)
{
	int p[2], fd;

	switch (odd_dice(4)) {
	case 0:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 1:
		PEER_NEED(pipe2(p, O_CLOEXEC) == 0);
		close(p[0]);
		return p[1];
	default:
		if ((fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING)) >= 0)
			(void)!ftruncate(fd, (off_t)odd_dice(3) * 65536);
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
	if (odd_dice(10)) {				/* most are let in */
		struct msg_hello m = { .proto_min = 1, .proto_max = 1, .role = 1 + odd_dice(4), .pid = (uint64_t)getpid(), .name = span_of("bad", 3) };

		PEER_NEED((node ? msg_put_node_join(&b, &(struct msg_node_join){ .name = span_of("bad", 3) }) : msg_put_hello(&b, &m)) == 0);
		(void)!write(fd, b.data, b.len);
		usleep(odd_dice(1000));
	}
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned nfd = odd_dice(4) ? 0 : odd_dice(4), sent = odd_dice(8) ? nfd : odd_dice(4);
		size_t at = 0;

		b.len = 0;
		odd_frame(&b, 0, UINT16_MAX, nfd, 0);
		for (unsigned k = 0; k < sent; k++)
			fds[k] = descriptor();
		if (odd_dice(20) == 0)
			at = odd_dice((unsigned)b.len);	/* a part of it */
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
	odd_proc = 3;
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
	odd_state = seed;
	printf("# seed %llu\n", (unsigned long long)seed);
	signal(SIGPIPE, SIG_IGN);
	peer_start("--store", "64M");
	snprintf(node_dir, sizeof node_dir, "%s", peer_dir);
	peer_open(&a, ROLE_DRIVER);
	odd_proc = a.w.proc;
	pid = daemon_of(peer_rlet);
	ok(pid > 0);
	for (unsigned i = 0; i < ROUNDS && tap_bad == 0; i++) {
		attack("shared.sock", false);
		if (i % 20 == 0) {
			odd_proc = a.w.proc + odd_dice(i + 2);
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
