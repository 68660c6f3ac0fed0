/*
 * rpack - private to rota up: packs files as one archive for other machines.  Each line of stdin is a path, a tab and the
 * name in the archive; stdout gets a tar file, compressed by gzip, that says nothing of who made it, or when.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/die.h"
#include "os/fd.h"
#if __has_include(<archive.h>)
#include <archive.h>
#include <archive_entry.h>

static void
must(struct archive *a, int e, const char *path)
{
	if (e < ARCHIVE_WARN)
		die(125, 0, "cannot pack '%s': %s", path, archive_error_string(a));
}

static void
add(struct archive *a, const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct archive_entry *e = archive_entry_new();
	struct stat st;
	char room[65536];
	ssize_t n;
	off_t left;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(125, -errno, "cannot read '%s'", path);
	if (e == NULL)
		die(125, -ENOMEM, "cannot pack '%s'", path);
	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, st.st_mode & 0111 ? 0755 : 0644);
	archive_entry_set_size(e, st.st_size);
	must(a, archive_write_header(a, e), path);
	for (left = st.st_size; left > 0 && (n = read(fd, room, sizeof room)) > 0; left -= n)
		must(a, (int)archive_write_data(a, room, (size_t)(n < left ? n : left)), path);
	if (left > 0)
		die(125, 0, "cannot pack '%s': it became shorter", path);
	archive_entry_free(e);
	close(fd);
}

int
main(void)
{
	struct archive *a = archive_write_new();
	char line[8192], *tab, *end;

	progname = "rpack";
	fd_standard();
	if (a == NULL)
		die(125, -ENOMEM, "cannot pack");
	must(a, archive_write_set_format_pax_restricted(a), "-");
	must(a, archive_write_add_filter_gzip(a), "-");
	must(a, archive_write_set_filter_option(a, "gzip", "compression-level", "1"), "-");
	must(a, archive_write_open_fd(a, 1), "-");
	while (fgets(line, sizeof line, stdin)) {
		if ((tab = strchr(line, '\t')) == NULL || (end = strchr(tab, '\n')) == NULL)
			die(2, 0, "expected a path, a tab and a name: '%.100s'", line);
		*tab = *end = '\0';
		add(a, line, tab + 1);
	}
	must(a, archive_write_close(a), "-");
	archive_write_free(a);
	return 0;
}
#else

int
main(void)
{
	progname = "rpack";
	die(125, 0, "this build cannot pack itself: it was made without libarchive; get libarchive-dev and make again");
}
#endif
