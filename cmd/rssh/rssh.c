/*
 * rssh - private to rota up: a command on another host, by libssh2.  Arguments are those of ssh, as far as rota up uses them:
 *	rssh [-T] [-o OPTION] [-l USER] [-p PORT] [-J JUMP] [-i KEY] [-W HOST:PORT] [--] HOST [COMMAND]
 * What libssh2 cannot do (proxy commands, certificates, keys in hardware), and all that fails before the command was begun,
 * is left to the ssh program, which may know better and says best what is wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "base/num.h"
#include "os/fd.h"
#include "rssh.h"

static _Noreturn void
leave_to_ssh(char *argv[], const char *host, const char *why)
{
	argv[0] = (char *)"ssh";
	execvp("ssh", argv);
	if (errno != ENOENT)
		die(255, -errno, "cannot run ssh");
	die(255, 0, "%s: %s", host, why);
}

int
main(int argc, char *argv[])
{
	const char *user = NULL, *key = NULL, *forward = NULL, *host;
	char why[512] = "", self[512];
	unsigned port = 0;
	struct way w;
	ssize_t n;
	int c, fd, status;

	progname = "rssh";
	fd_standard();
	opterr = 0;
	while ((c = getopt(argc, argv, "+To:l:p:J:i:W:")) != -1)
		switch (c) {
		case 'l': user = optarg; break;
		case 'p': if (num_uint(optarg, &port) < 0 || port > 65535) die(255, 0, "'%s' is no port", optarg); break;
		case 'i': key = optarg; break;
		case 'W': forward = optarg; break;
		case 'T': case 'o': case 'J': break;		/* ssh -G says what they mean */
		default: die(255, 0, "unknown option");
		}
	if (optind >= argc || (forward == NULL && optind + 2 != argc))
		die(255, 0, "expected a host and a command");
	host = argv[optind];
	if ((n = readlink("/proc/self/exe", self, sizeof self - 1)) < 0)
		die(255, -errno, "cannot find myself");
	self[n] = '\0';
	{
		char *last = argv[optind + 1];

		argv[optind + 1] = NULL;
		way_find(&w, argv, host, user, (int)port, key);
		argv[optind + 1] = last;
	}
	if (w.beyond)
		leave_to_ssh(argv, host, w.beyond);
	if ((fd = way_connect(&w, self, why, sizeof why)) < 0)
		leave_to_ssh(argv, host, why);
	status = session_run(&w, fd, argv[optind + 1], forward, why, sizeof why);
	if (status < 0)
		leave_to_ssh(argv, host, why);
	return status;
}
