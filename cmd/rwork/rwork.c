/*
 * rwork - the process that forks workers, and the workers.  Private: only rlet starts it, as rwork --zygote FD.
 */
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "base/num.h"
#include "os/sig.h"
#include "zygote.h"

int
main(int argc, char *argv[])
{
	unsigned fd;
	int e;

	progname = "rwork";
	if (argc != 3 || strcmp(argv[1], "--zygote") != 0 || num_uint(argv[2], &fd) < 0)
		die(2, 0, "started by rlet only; to run a script: rlua FILE");
	sig_filesize();
	if ((e = zygote_run((int)fd)) < 0)
		die(125, e, "cannot fork workers");
	return 0;
}
