/* session - the host's key is looked up in known_hosts, ours are shown, and then bytes go to and fro until the command ends */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/fd.h"
#include "rssh.h"
#if __has_include(<libssh2.h>)
#include <libssh2.h>

static void
say(LIBSSH2_SESSION *s, const char *what, char *why, size_t n)
{
	char *text = NULL;

	libssh2_session_last_error(s, &text, NULL, 0);
	snprintf(why, n, "%s: %s", what, text ? text : "");
}

/* 0: the host has a key that a file knows; -1 and why */
static int
known(LIBSSH2_SESSION *s, const struct way *w, char *why, size_t n)
{
	LIBSSH2_KNOWNHOSTS *k = libssh2_knownhost_init(s);
	size_t len;
	int type, e = LIBSSH2_KNOWNHOST_CHECK_FAILURE;
	const char *key = libssh2_session_hostkey(s, &len, &type);

	if (k && key) {
		for (unsigned i = 0; i < w->nknown; i++)
			libssh2_knownhost_readfile(k, w->known[i], LIBSSH2_KNOWNHOST_FILE_OPENSSH);
		e = libssh2_knownhost_checkp(k, w->alias[0] ? w->alias : w->host, w->alias[0] ? -1 : w->port, key, len,
		    LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW, NULL);
	}
	if (k)
		libssh2_knownhost_free(k);
	if (e == LIBSSH2_KNOWNHOST_CHECK_MATCH)
		return 0;
	snprintf(why, n, e == LIBSSH2_KNOWNHOST_CHECK_MISMATCH ? "host key has changed" : "host key not known");
	return -1;
}

static bool
by_agent(LIBSSH2_SESSION *s, const struct way *w)
{
	LIBSSH2_AGENT *a;
	struct libssh2_agent_publickey *id, *before = NULL;
	bool in = false;

	if (w->only_keys || (w->agent[0] && strcmp(w->agent, "SSH_AUTH_SOCK")) || getenv("SSH_AUTH_SOCK") == NULL ||
	    (a = libssh2_agent_init(s)) == NULL)
		return false;
	if (libssh2_agent_connect(a) == 0 && libssh2_agent_list_identities(a) == 0)
		while (!in && libssh2_agent_get_identity(a, &id, before) == 0) {
			in = libssh2_agent_userauth(a, w->user, id) == 0;
			before = id;
		}
	libssh2_agent_disconnect(a);
	libssh2_agent_free(a);
	return in;
}

static int
enter(LIBSSH2_SESSION *s, const struct way *w, char *why, size_t n)
{
	char tried[200] = "agent";

	if (by_agent(s, w))
		return 0;
	for (unsigned i = 0; i < w->nkeys; i++) {
		const char *name = strrchr(w->keys[i], '/');
		size_t len = strlen(tried);

		if (access(w->keys[i], R_OK) < 0)
			continue;
		if (libssh2_userauth_publickey_fromfile_ex(s, w->user, (unsigned)strlen(w->user), NULL, w->keys[i], "") == 0)
			return 0;
		snprintf(tried + len, sizeof tried - len, ", %s", name ? name + 1 : w->keys[i]);
	}
	snprintf(why, n, "Permission denied (%s)", tried);
	return -1;
}

/* what the other side says on this stream goes to fd: whether there was anything */
static bool
give(LIBSSH2_CHANNEL *c, int stream, int fd)
{
	char room[32768];
	ssize_t n = libssh2_channel_read_ex(c, stream, room, sizeof room);

	return n > 0 && fd_write_all(fd, room, (size_t)n) == 0;
}

struct feed {				/* from our stdin */
	char room[32768];
	size_t len, at;
	bool ended, told;
};

static bool
take(LIBSSH2_CHANNEL *c, struct feed *f)
{
	ssize_t n;

	if (f->at < f->len) {
		if ((n = libssh2_channel_write(c, f->room + f->at, f->len - f->at)) <= 0)
			return false;
		f->at += (size_t)n;
		return true;
	}
	if (f->ended && !f->told) {
		f->told = libssh2_channel_send_eof(c) == 0;
		return f->told;
	}
	return false;
}

static void
pump(LIBSSH2_SESSION *s, LIBSSH2_CHANNEL *c, int fd)
{
	struct feed f = { .len = 0 };

	libssh2_session_set_blocking(s, 0);
	while (!libssh2_channel_eof(c)) {
		bool some = give(c, 0, 1);
		struct pollfd p[2] = { { .fd = fd }, { .fd = -1 } };

		some |= give(c, SSH_EXTENDED_DATA_STDERR, 2);
		some |= take(c, &f);
		/* reading the one stream may have taken what belongs to the other off the socket */
		if (some || libssh2_poll_channel_read(c, 0) > 0 || libssh2_poll_channel_read(c, 1) > 0 || libssh2_channel_eof(c))
			continue;
		if (libssh2_session_last_errno(s) != LIBSSH2_ERROR_EAGAIN && libssh2_session_last_errno(s) != 0)
			break;
		p[0].events = POLLIN;
		if (libssh2_session_block_directions(s) & LIBSSH2_SESSION_BLOCK_OUTBOUND)
			p[0].events |= POLLOUT;
		if (f.at == f.len && !f.ended)
			p[1] = (struct pollfd){ .fd = 0, .events = POLLIN };
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents) {
			ssize_t n = read(0, f.room, sizeof f.room);

			f.len = n > 0 ? (size_t)n : 0;
			f.at = 0;
			f.ended = n <= 0;
		}
	}
	while (give(c, 0, 1) || give(c, SSH_EXTENDED_DATA_STDERR, 2))
		;
	libssh2_session_set_blocking(s, 1);
}

static LIBSSH2_CHANNEL *
begin(LIBSSH2_SESSION *s, const char *command, const char *forward)
{
	LIBSSH2_CHANNEL *c;
	char host[256];
	const char *colon;

	if (forward) {
		if ((colon = strrchr(forward, ':')) == NULL)
			return NULL;
		snprintf(host, sizeof host, "%.*s", (int)(colon - forward), forward);
		if (host[0] == '[')
			snprintf(host, sizeof host, "%.*s", (int)(colon - forward - 2), forward + 1);
		return libssh2_channel_direct_tcpip(s, host, atoi(colon + 1));
	}
	if ((c = libssh2_channel_open_session(s)) != NULL && libssh2_channel_exec(c, command) < 0) {
		libssh2_channel_free(c);
		c = NULL;
	}
	return c;
}

int
session_run(const struct way *w, int fd, const char *command, const char *forward, char *why, size_t n)
{
	LIBSSH2_SESSION *s;
	LIBSSH2_CHANNEL *c = NULL;
	int status = -1;

	signal(SIGPIPE, SIG_IGN);
	if (libssh2_init(0) != 0 || (s = libssh2_session_init()) == NULL) {
		snprintf(why, n, "no memory");
		close(fd);
		return -1;
	}
	libssh2_session_set_timeout(s, w->timeout * 2000L);
	if (libssh2_session_handshake(s, fd) < 0)
		say(s, "cannot agree on a session", why, n);
	else if (known(s, w, why, n) == 0 && enter(s, w, why, n) == 0 && (c = begin(s, command, forward)) == NULL)
		say(s, "cannot begin", why, n);
	if (c) {
		char *sig = NULL;

		libssh2_session_set_timeout(s, 0);
		pump(s, c, fd);
		libssh2_channel_close(c);
		if (!forward)
			libssh2_channel_wait_closed(c);
		libssh2_channel_get_exit_signal(c, &sig, NULL, NULL, NULL, NULL, NULL);
		status = sig || libssh2_session_last_errno(s) == LIBSSH2_ERROR_SOCKET_RECV ? 255 : libssh2_channel_get_exit_status(c);
		libssh2_channel_free(c);
	}
	libssh2_session_disconnect(s, "done");
	libssh2_session_free(s);
	close(fd);
	return status;
}
#else

int
session_run(const struct way *w, int fd, const char *command, const char *forward, char *why, size_t n)
{
	(void)w, (void)command, (void)forward;
	close(fd);
	snprintf(why, n, "this build has no libssh2, and there is no ssh program");
	return -1;
}
#endif
