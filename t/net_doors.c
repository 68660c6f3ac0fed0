/*
 * net_doors.c - who comes to a control store over TCP with the key, but speaks another version of the protocol; a control
 * store that does; and one that is another one than the node had joined.  Each is one line that names both.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tap.h"
#include "member.h"

static char dir[64], key[96], head[TCP_NAME];
static struct tls_ctx *tls;
static pid_t child[8];			/* all that was started: killed if the test cannot go on */
static unsigned nchild;

#define NEED(x) do { \
	if (!(x)) { \
		printf("Bail out! %s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno)); \
		while (nchild > 0) \
			kill(child[--nchild], SIGKILL); \
		exit(1); \
	} \
} while (0)

/* a daemon with directories of its own; its stderr is a file; ready: waits until it is, and line is what it wrote */
static pid_t
start(const char *sub, char line[TCP_NAME], const char *const *argv)
{
	const char *v[24] = { 0 };
	char num[16], path[160], err[200];
	int p[2], n = 0;
	ssize_t k;
	pid_t pid;

	NEED(pipe(p) == 0);
	if ((pid = fork()) == 0) {
		close(p[0]);
		snprintf(path, sizeof path, "%s/%s", dir, sub);
		snprintf(err, sizeof err, "%s.err", path);
		mkdir(path, 0700);
		setenv("ROTA_DIR", path, 1);
		setenv("XDG_STATE_HOME", path, 1);
		(void)!freopen(err, "a", stderr);
		for (; argv[n]; n++)
			v[n] = argv[n];
		snprintf(num, sizeof num, "%d", p[1]);
		v[n++] = "--ready-fd";
		v[n++] = num;
		execvp(v[0], (char *const *)(uintptr_t)v);
		_exit(127);
	}
	child[nchild++] = pid;
	close(p[1]);
	if (line) {
		NEED((k = read(p[0], line, TCP_NAME - 1)) > 0);
		line[k] = '\0';
		line[strcspn(line, "\n")] = '\0';
	}
	close(p[0]);
	return pid;
}

static bool
said(const char *sub, const char *text)		/* soon */
{
	char path[160], all[8192];
	uint64_t t0 = clock_ns();
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.err", dir, sub);
	do {
		if ((f = fopen(path, "r")) != NULL) {
			n = fread(all, 1, sizeof all - 1, f);
			fclose(f);
		}
		all[n] = '\0';
		if (strstr(all, text))
			return true;
		poll(NULL, 0, 10);
	} while (clock_ns() - t0 < 20 * CLOCK_SEC);
	printf("# %s", all);
	return false;
}

static void
newer_node(void)
{
	unsigned char bytes[FRAME_HEAD + 4] = { 0 };
	struct msg_fail no = { 0 };
	struct member m;
	struct frame f;

	NEED(member_open(&m, head, tls));
	frame_pack(bytes, &(struct frame){ .type = MSG_NODE_JOIN_T, .version = 9, .len = 4 });
	member_write(&m, bytes, sizeof bytes, MEMBER_MS);
	ok(member_hear(&m, &f, MEMBER_MS) && f.type == MSG_FAIL_T && msg_get_fail(&no, f.body, f.len) == 0);
	printf("# %.*s\n", (int)no.text.n, (const char *)no.text.p);
	ok(no.text.n && memmem(no.text.p, no.text.n, "version 1 of rota's protocol, the node 9", 40));	/* a newer node is told both versions */
	while (!m.ended && member_take(&m, MEMBER_MS))
		;
	ok(m.ended);
	member_close(&m);
}

/* A control store that is us: what comes first is read, then it says this. */
static void
serve(int listener, const void *answer, size_t n, uint64_t *store)
{
	struct msg_node_join join;
	struct member m;
	struct frame f;
	int fd = -1;

	if (poll(&(struct pollfd){ listener, POLLIN, 0 }, 1, MEMBER_MS) == 1)
		fd = accept(listener, NULL, NULL);
	NEED(fd >= 0);
	member_over(&m, fd, tls, true);
	if (member_hear(&m, &f, MEMBER_MS) && f.type == MSG_NODE_JOIN_T && msg_get_node_join(&join, f.body, f.len) == 0)
		*store = join.head;
	member_write(&m, answer, n, MEMBER_MS);
	while (!m.ended && member_take(&m, MEMBER_MS))
		;
	member_close(&m);
}

static int
listen_at(const char *where, char address[TCP_NAME])
{
	struct tcp_name name;
	struct addrinfo *a;
	int fd;

	NEED(tcp_parse(&name, where) == 0 && tcp_resolve(&name, 1, &a) == 0);
	fd = tcp_listen(a);
	freeaddrinfo(a);
	NEED(fd >= 0);
	tcp_local(fd, address);
	return fd;
}

static void
newer_store(void)
{
	unsigned char bytes[FRAME_HEAD] = { 0 };
	char where[TCP_NAME];
	int fd = listen_at("127.0.0.1:0", where), status;
	uint64_t store = 1;
	pid_t pid = start("n", NULL, (const char *[]){ "rlet", "-l", "--store", "16M", "--join", where, "--key", key, NULL });

	frame_pack(bytes, &(struct frame){ .type = MSG_NODE_JOINED_T, .version = 7 });
	serve(fd, bytes, sizeof bytes, &store);
	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 125);
	ok(store == 0 && said("n", "it speaks version 7 of rota's protocol, this node 1"));	/* and so is a node by a newer store */
	close(fd);
}

/* The store that a node has joined is gone, and at its address there is another one that has the key, too. */
static void
two_heads(pid_t *store)
{
	char line[TCP_NAME];
	int status;
	pid_t rlet = start("v", line, (const char *[]){ "rlet", "-l", "-c", "1", "--store", "16M", "--join", head, "--key", key, NULL });

	kill(*store, SIGKILL);
	waitpid(*store, &status, 0);
	*store = start("other", line, (const char *[]){ "rgcs", "-q", "--listen", head, "--key", key, "--dead-after", "600s", NULL });
	ok(strcmp(line, head) == 0);
	ok(said("v", "this is control store "));	/* it is told apart, though it has no fewer starts and the same numbers */
	ok(said("v", "this node's work ends, and it joins again as a new one"));
	ok(said("v", "joined 127.0.0.1:"));
	kill(rlet, SIGTERM);
	ok(waitpid(rlet, &status, 0) == rlet && status == 0);
}

int
main(void)
{
	char text[128], why[300];
	struct keys k;
	int status;
	pid_t store;

	signal(SIGPIPE, SIG_IGN);
	umask(077);
	snprintf(dir, sizeof dir, "/tmp/rota-test-XXXXXX");
	NEED(mkdtemp(dir));
	snprintf(key, sizeof key, "%s/key", dir);
	store = start("h", head, (const char *[]){ "rgcs", "-q", "--listen", "127.0.0.1:0", "--key", key, "--dead-after", "600s", NULL });
	NEED(keys_read(&k, key, why, sizeof why) == 0 && (tls = tls_ctx_new(&k)) != NULL);
	newer_node();
	newer_store();
	two_heads(&store);
	kill(store, SIGTERM);
	ok(waitpid(store, &status, 0) == store && status == 0);
	tls_ctx_free(tls);
	snprintf(text, sizeof text, "rm -rf '%s'", dir);
	(void)!system(text);
	return tap_done();
}
