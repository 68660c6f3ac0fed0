#!/bin/sh
# capi.t - librota as a C programmer meets it: pkg-config, the shared and the static library, what they show, C++
. "${0%/*}/lib.sh"
lib=$O/lib/librota.so.0
command -v pkg-config >/dev/null || skip_all 'needs pkg-config'
export PKG_CONFIG_PATH="$O/lib/pkgconfig"
san=$(sanitizer)
CC="${CC:-cc} -std=c11 -Wall -Wextra -Werror $san"
cat >"$TMP/main.c" <<'END'
#include <rota.h>
#include <stdio.h>
int
add(struct rota_ctx *ctx, const struct rota_value *args, size_t n, struct rota_value *out)
{
	(void)ctx;
	*out = rota_int(n == 2 ? args[0].i + args[1].i : -1);
	return 0;
}
int
main(int argc, char *argv[])
{
	struct rota_value v[2] = { rota_int(40), rota_int(2) };
	struct rota_ctx *ctx;
	struct rota_ref *r;
	struct rota_fn *fn;

	if (argc < 3 || rota_init(&ctx, NULL) < 0 || rota_cfunc(ctx, argv[1], argv[2], NULL, &fn) < 0 ||
	    rota_submit(ctx, fn, v, 2, &r) < 0 || rota_get(ctx, r, v, ROTA_FOREVER) < 0) {
		printf("%s\n", rota_why());
		return 1;
	}
	printf("%lld\n", (long long)v->i);
	return 0;
}
END
cd "$TMP" || exit 1
flags() { pkg-config "$@" rota; }
shared() { $CC -o shared main.c $(flags --cflags --libs) && ldd ./shared | grep -q 'librota.so.0 => '"$O"; }
object() { $CC -shared -fPIC -o add.so main.c $(flags --cflags); }
linked() { $CC -shared -fPIC -o linked.so main.c $(flags --cflags --libs); }
static() { $CC -o static main.c $(flags --cflags) "$O/lib/librota.a" -lpthread && ! ldd ./static | grep librota; }
cxx() {
	printf '#include <rota.h>\nint main() { rota_value v = rota_int(1); return rota_version()[0] == 0 || v.i != 1; }\n' >cxx.cc
	${CXX:-c++} $san -Wall -Wextra -Werror -o cxx cxx.cc $(flags --cflags --libs) && ./cxx
}
declared() { sed -n 's/.*\(\brota_[a-z_]*\)(.*/\1/p' "$O/include/rota.h" | sort -u; }
shows() {		# each function of the header has the version's name, and nothing else is seen, in the static library neither
	grep -oE '\brota_[a-z_]+\(' "$O/include/rota.h" | tr -d '(' | sort -u >called
	sed -n '/^static inline/{n;s/(.*//p;}' "$O/include/rota.h" | sort -u >inlined
	comm -23 called inlined | grep -v '^rota_task$' >want
	nm -D --defined-only "$lib" | sed -n 's/.* T \(.*\)@@ROTA_0$/\1/p' | sort >have
	diff want have || return
	[ "$(nm -D --defined-only "$lib" | grep -cv '@@ROTA_0$\| A ROTA_0$')" -eq 0 ] || { nm -D --defined-only "$lib"; return 1; }
	nm -g --defined-only "$O/lib/librota.a" | sed -n 's/.* [TDBR] //p' | sort >have
	diff want have
}
light() { ! ldd "$lib" | grep -E 'lua|libev|lmdb'; }
soname() { readelf -d "$lib" | grep -q 'soname: \[librota.so.0\]'; }
gone() { prints "cannot open 'none.so': No such file or directory" ./shared none.so add || [ $? -eq 1 ]; }
nosym() { ./shared add.so sub >out; grep -q "add.so' has no symbol 'sub'" out; }
garbage() { echo text >text.so && ! ./shared text.so add >out && grep -q "cannot load it: .*text.so" out; }
changed() {		# another file of the same name is another function, in the very worker that had the first one
	sed 's/args\[0\].i + args\[1\].i/args[0].i - args[1].i/' main.c >minus.c &&
	again="$CC -shared -fPIC -o new.so minus.c $(flags --cflags) && mv new.so add.so" "$O/bin/rlua" -e '
		local rota = require "rota"
		rota.init{ cpus = 1 }
		local add = rota.cfunc("add.so", "add")
		assert(rota.get(add(40, 2)) == 42)
		assert(os.execute(os.getenv "again"))
		assert(rota.get(rota.cfunc("add.so", "add")(40, 2)) == 38)
		assert(rota.get(add(40, 2)) == 42)		-- still loaded: what it was named for
	'
}
closed() {		# joining and leaving again and again keeps no descriptor
	cat >again.c <<'END'
#include <rota.h>
#include <dirent.h>
#include <stdio.h>
static int
open_now(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
int
main(void)
{
	int before = open_now();

	for (int i = 0; i < 3; i++) {
		struct rota_ctx *ctx;

		if (rota_init(&ctx, NULL) < 0)
			return 1;
		rota_close(ctx);
	}
	printf("%d\n", open_now() - before);
	return 0;
}
END
	$CC -o again again.c $(flags --cflags --libs) && prints 0 ./again
}
installed() {		# from an installation elsewhere
	(cd "$OLDPWD" && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s O="$O" READY= install DESTDIR="$TMP/root" PREFIX=/usr) >/dev/null &&
	for f in include/rota.h lib/librota.so.0 lib/librota.so lib/librota.a lib/pkgconfig/rota.pc share/man/man3/rota.3; do
		[ -e "root/usr/$f" ] || { echo "no $f"; return 1; }
	done
	grep -qx 'prefix=/usr' root/usr/lib/pkgconfig/rota.pc || return
	$CC -o moved main.c $(PKG_CONFIG_PATH=root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$TMP/root pkg-config --cflags --libs rota) &&
		prints 42 env -u ROTA_BIN LD_LIBRARY_PATH="$TMP/root/usr/lib" ROTA_DIR="$TMP/moved.dir" PATH=/usr/bin:/bin ./moved linked.so add
}
check 'a shared object of tasks' object
check 'one that is linked with the library itself' linked
check 'a program, by pkg-config' shared
check 'it runs a task' prints 42 ./shared add.so add
check 'whatever the shared object is linked with' prints 42 ./shared linked.so add
check 'the static library' static
check 'it runs a task too' prints 42 ./static add.so add
check 'C++' cxx
check 'versioned symbols, no others' shows
check 'its name' soname
check 'no Lua, no event loop, no database in it' light
check 'no such file' gone
check 'no such symbol' nosym
check 'no shared object' garbage
check 'a context that is closed leaves no descriptor' closed
check 'a changed file is another function' changed
check 'an installation' installed
done_testing
