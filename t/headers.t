#!/bin/sh
# headers.t - each header compiles alone, without warnings, and guards itself
. "${0%/*}/lib.sh"
alone() {
	echo "#include \"${1#lib/}\"
#include \"${1#lib/}\"" | ${CC:-cc} -x c -std=c11 -D_GNU_SOURCE -Ilib -I/usr/include/lua5.4 -Wall -Wextra -Wshadow \
		-Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror -fsyntax-only -
}
for h in lib/*/*.h; do check "$h" alone "$h"; done
done_testing
