/* exec - a program that reads an object where it lies: as descriptor 3, from ROTA_OFFSET on, ROTA_SIZE bytes */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/die.h"
#include "base/err.h"
#include "robj.h"

enum { FD = 3 };

static const struct opt opts[] = { COMMON_OPTS, { 0 } };

static void
number(const char *name, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)v);
	setenv(name, text, 1);
}

static int
run(char *argv[], int fd)			/* the status; the object is held meanwhile */
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, intr, quit;
	int st = 0;
	pid_t pid;

	sigaction(SIGINT, &ignore, &intr);	/* the terminal's are the program's: we are there to hold the object */
	sigaction(SIGQUIT, &ignore, &quit);
	if ((pid = fork()) == 0) {
		sigaction(SIGINT, &intr, NULL);
		sigaction(SIGQUIT, &quit, NULL);
		prctl(PR_SET_PDEATHSIG, SIGTERM);	/* without us nobody holds it */
		if (fd == FD ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, FD) < 0)
			_exit(126);
		execvp(argv[0], argv);
		warn(-errno, "cannot run '%s'", argv[0]);
		_exit(errno == ENOENT ? 127 : 126);
	}
	if (pid < 0)
		die(125, -errno, "cannot make a process");
	while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
}

int
cmd_exec(int argc, char *argv[])
{
	struct opt_state o = { .opts = opts, .help = help, .verb = "exec" };
	const unsigned char *p;
	char why[512] = "";
	struct client *cl;
	struct value v;
	struct rec *r;
	struct id id;
	const char *name;
	uint64_t n, off;
	int c, e, fd;

	while ((c = opt_next(&o, argc, argv)) != -1)
		common_opt(c, o.arg);
	if (argc - o.index < 2)
		die(2, 0, "exec needs an object and a command; see robj -h");
	name = argv[o.index];
	cl = join(false);
	if ((e = client_lookup(cl, name, &r, &id, why, sizeof why)) < 0) {
		if (e == ERR_NO_CLUSTER)
			die(125, 0, "%s", client_lost(cl) ? client_lost(cl) : "the node is gone");
		die(1, 0, "%s", *why ? why : err_str(e));
	}
	if ((e = client_wait(cl, r, WAIT_FOREVER)) < 0 || (e = client_value(cl, r, &v)) < 0)
		die(1, e, "cannot read '%s'", name);
	if (v.error || !v.arena || !bytes_of(cl, &v, &p, &n))
		die(1, 0, "'%s' is no string or buffer; see it with 'robj get %s'", name, name);
	off = (uint64_t)(p - client_arena(cl)->base);
	if ((fd = client_arena_fd(cl)) < 0 || lseek(fd, (off_t)off, SEEK_SET) < 0)
		die(125, fd < 0 ? fd : -errno, "cannot open the object store");
	number("ROTA_OFFSET", off);
	number("ROTA_SIZE", n);
	e = run(argv + o.index + 1, fd);
	client_release(cl, r);
	client_close(cl);
	return e;
}
