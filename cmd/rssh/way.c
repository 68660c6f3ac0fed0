/* way - where a host is, as ssh's configuration has it, and a connection to it */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/fd.h"
#include "os/proc.h"
#include "rssh.h"

static const char *
home(void)
{
	const char *h = getenv("HOME");

	return h ? h : "";
}

static void
add_file(char *list[], unsigned *n, const char *name)
{
	char path[1024];

	if (*n == WAY_FILES)
		return;
	if (strncmp(name, "~/", 2) == 0)
		snprintf(path, sizeof path, "%s/%s", home(), name + 2);
	else
		snprintf(path, sizeof path, "%s", name);
	if ((list[*n] = strdup(path)) != NULL)
		++*n;
}

static void
add_files(char *list[], unsigned *n, char *names)
{
	char *save = NULL;

	for (char *s = strtok_r(names, " ", &save); s; s = strtok_r(NULL, " ", &save))
		add_file(list, n, s);
}

/* a line of ssh -G */
static void
line(struct way *w, const char *key, char *value)
{
	static const char *const ours[] = { "proxycommand", "controlpath", "certificatefile", "pkcs11provider", "proxyusefdpass" };

	if (strcmp(key, "hostname") == 0)
		snprintf(w->host, sizeof w->host, "%s", value);
	else if (strcmp(key, "hostkeyalias") == 0)
		snprintf(w->alias, sizeof w->alias, "%s", value);
	else if (strcmp(key, "user") == 0)
		snprintf(w->user, sizeof w->user, "%s", value);
	else if (strcmp(key, "port") == 0)
		w->port = atoi(value);
	else if (strcmp(key, "connecttimeout") == 0 && atoi(value) > 0)
		w->timeout = atoi(value);
	else if (strcmp(key, "proxyjump") == 0 && strcmp(value, "none"))
		snprintf(w->jump, sizeof w->jump, "%s", value);
	else if (strcmp(key, "identityagent") == 0)
		snprintf(w->agent, sizeof w->agent, "%s", value);
	else if (strcmp(key, "identitiesonly") == 0)
		w->only_keys = strcmp(value, "yes") == 0;
	else if (strcmp(key, "identityfile") == 0)
		add_file(w->keys, &w->nkeys, value);
	else if (strcmp(key, "userknownhostsfile") == 0 || strcmp(key, "globalknownhostsfile") == 0)
		add_files(w->known, &w->nknown, value);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcmp(key, ours[i]) == 0 && strcmp(value, "none") && strcmp(value, "no"))
			w->beyond = "it is configured in a way for which the ssh program is needed";
}

static void
defaults(struct way *w, const char *name, const char *user, int port, const char *key)
{
	static const char *const keys[] = { "~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa" };
	const struct passwd *me = getpwuid(geteuid());
	const char *at = strrchr(name, '@');

	snprintf(w->host, sizeof w->host, "%s", at ? at + 1 : name);
	if (at)
		snprintf(w->user, sizeof w->user, "%.*s", (int)(at - name), name);
	else
		snprintf(w->user, sizeof w->user, "%s", user ? user : me ? me->pw_name : "");
	w->port = port ? port : 22;
	if (key)
		add_file(w->keys, &w->nkeys, key);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		add_file(w->keys, &w->nkeys, keys[i]);
	add_file(w->known, &w->nknown, "~/.ssh/known_hosts");
	add_file(w->known, &w->nknown, "/etc/ssh/ssh_known_hosts");
}

int
way_find(struct way *w, char *const argv[], const char *name, const char *user, int port, const char *key)
{
	char *args[256], text[1024];
	int p[2], status = -1, n = 0;
	struct proc_spawn s = PROC_SPAWN_INIT;
	pid_t pid;
	FILE *f;

	*w = (struct way){ .timeout = 10 };
	args[n++] = (char *)"ssh";
	args[n++] = (char *)"-G";
	for (int i = 1; argv[i] && n < 254; i++)
		args[n++] = argv[i];
	args[n] = NULL;
	if (pipe2(p, O_CLOEXEC) == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		s.argv = args;
		s.in = s.err = null;
		s.out = p[1];
		pid = null < 0 ? -1 : proc_spawn(&s);
		close(p[1]);
		if ((f = fdopen(p[0], "r")) == NULL)
			close(p[0]);
		while (f && fgets(text, sizeof text, f)) {
			char *value = strchr(text, ' ');

			text[strcspn(text, "\n")] = '\0';
			if (value)
				*value++ = '\0', line(w, text, value);
		}
		if (f)
			fclose(f);
		if (null >= 0)
			close(null);
		if (pid > 0 && waitpid(pid, &status, 0) != pid)
			status = -1;
	}
	if (status == 0 && w->host[0] && w->port)
		return 0;
	*w = (struct way){ .timeout = 10 };
	defaults(w, name, user, port, key);
	return -1;
}

/* over another host: ourselves, with its connection as ours */
static int
by_jump(const struct way *w, const char *self, char *why, size_t n)
{
	char to[300], port[16], before[512];
	const char *last = strrchr(w->jump, ',');
	char hop[512], *colon, *argv[16];
	int s[2], k = 0;
	struct proc_spawn p = PROC_SPAWN_INIT;
	pid_t pid;

	snprintf(to, sizeof to, strchr(w->host, ':') ? "[%s]:%d" : "%s:%d", w->host, w->port);
	snprintf(before, sizeof before, "%.*s", last ? (int)(last - w->jump) : 0, w->jump);
	snprintf(hop, sizeof hop, "%s", last ? last + 1 : w->jump);
	argv[k++] = (char *)self;
	argv[k++] = (char *)"-o";
	argv[k++] = (char *)"BatchMode=yes";
	if ((colon = strrchr(hop, ':')) != NULL && hop[0] != '[') {
		*colon = '\0';
		snprintf(port, sizeof port, "%s", colon + 1);
		argv[k++] = (char *)"-p";
		argv[k++] = port;
	}
	if (before[0]) {
		argv[k++] = (char *)"-J";
		argv[k++] = before;
	}
	argv[k++] = (char *)"-W";
	argv[k++] = to;
	argv[k++] = (char *)"--";
	argv[k++] = hop;
	argv[k] = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) < 0) {
		snprintf(why, n, "cannot make a socket: %s", strerror(errno));
		return -1;
	}
	p.argv = argv;
	p.in = p.out = s[1];
	p.pdeath = true;
	pid = proc_spawn(&p);
	close(s[1]);
	if (pid < 0) {
		close(s[0]);
		snprintf(why, n, "cannot run '%s': %s", self, strerror((int)-pid));
		return -1;
	}
	return s[0];
}

static int
connect_one(const struct addrinfo *a, int seconds)	/* a descriptor, blocking; -errno */
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol), e = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof e;

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
		e = errno;
	else if (poll(&p, 1, seconds * 1000) != 1)
		e = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	if (e) {
		close(fd);
		return -e;
	}
	return fd;
}

int
way_connect(const struct way *w, const char *self, char *why, size_t n)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	char port[16];
	int e, fd = -EHOSTUNREACH;

	if (w->jump[0])
		return by_jump(w, self, why, n);
	snprintf(port, sizeof port, "%d", w->port);
	if ((e = getaddrinfo(w->host, port, &hints, &list)) != 0) {
		snprintf(why, n, "Could not resolve hostname %s: %s", w->host, gai_strerror(e));
		return -1;
	}
	for (struct addrinfo *a = list; a; a = a->ai_next)
		if ((fd = connect_one(a, w->timeout)) >= 0)
			break;
	freeaddrinfo(list);
	if (fd < 0)
		snprintf(why, n, "connect to host %s port %d: %s", w->host, w->port, strerror(-fd));
	return fd < 0 ? -1 : fd;
}
