#!/bin/sh
# protocol.t - the tables of rota-protocol(7) are those that the code is made from, and its numbers are the headers'
. "${0%/*}/lib.sh"
page=man/rota-protocol.7
rows() {
	sed -n '/^\.\\" The rows between/,/^\.\\" end of rows/{/^\.\\"/!p;}' "$1" >"$TMP/page"
	"$O/t/wire_msg.t" rows >"$TMP/code" || return 1
	diff "$TMP/page" "$TMP/code"
}
forged() {		# the test itself: a changed row is seen
	sed 's/^\.It U Ta proto_min/.It I Ta proto_min/' "$page" >"$TMP/forged"
	! rows "$TMP/forged"
}
number() {		# number HEADER NAME VALUE TEXT: the header defines it so, and the page says TEXT
	grep -Eq "#define $2 $3([^0-9a-z]|\$)" "$1" || { grep -n "#define $2" "$1"; return 1; }
	tr '\n' ' ' <"$page" | grep -qF -e "$4" || { echo "the page lacks: $4"; return 1; }
}
exts() {		# rota-values(7) lists each ext with its number
	sed -n 's/^	X(\([A-Z]*\), \([0-9]*\), .*'"'"'[lnck]'"'"').*/.It \2 Ta \1 Ta/p' lib/wire/val.h >"$TMP/exts"
	[ "$(wc -l <"$TMP/exts")" -eq 17 ] || return 1
	while read -r row; do grep -qF -e "$row" man/rota-values.7 || { echo "no row: $row"; return 1; }; done <"$TMP/exts"
}
[ -x "$O/t/wire_msg.t" ] || skip_all 'needs build/t/wire_msg.t: make check builds it'
check 'a forged row is seen' forged
check 'messages are those of wire/msg.h' rows "$page"
check 'version' number lib/wire/msg.h MSG_PROTO 1u 'protocol version, 1'
check 'header' number lib/wire/frame.h FRAME_HEAD 32u 'a header of 32 bytes'
check 'first body' number lib/wire/frame.h FRAME_HELLO_MAX 65536u 'at most 64 KiB, afterwards'
check 'later bodies' number lib/wire/frame.h FRAME_MAX '\(64u << 20\)' 'afterwards at most 64 MiB'
check 'descriptors' number lib/wire/frame.h FRAME_FDS 16u 'of the frame, at most 16'
check 'text' number lib/wire/msg.h MSG_TEXT 65536u 'text, at most 64 KiB'
check 'ring layout' number lib/ring/ring.h RING_LAYOUT 2u '128 words of 64 bits'
check 'ring words' number lib/ring/ring.h RING_WORDS 128u 'position divided by 128'
check 'completions' number lib/ring/ring.h RING_DONES 128u '128 completions of 64 bytes'
check 'unclaimed' number lib/ring/ring.h RING_DEPTH 64u 'at most 64 unclaimed words'
check 'lap' number lib/ring/ring.h RING_LAP_SHIFT 34 '63 to 34 Ta lap'
check 'inline payload' number lib/ring/rec.h REC_INLINE 32u '32 bytes Ta payload'
check 'block' number lib/ring/rec.h REC_BLOCK_MAX 4096u '33 to 4096 bytes'
check 'pins' number lib/ring/page.h PAGE_PINS 1024u '1024 pins'
check 'events' number lib/ring/page.h PAGE_EVENTS 256u '256 events'
check 'extensions of values' exts
done_testing
