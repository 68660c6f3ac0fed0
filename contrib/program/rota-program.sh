# rota-program.sh - a shell program as an actor of rota: a line in, a line out (mode lines), see rota-program(7).
#
#	. "$ROTA_SHARE/rota-program.sh"
#	answer() { echo "$(($1 * 2))"; }	# gets the line as $1, prints one line
#	rota_serve answer
# shellcheck shell=sh

rota_serve() {
	while IFS= read -r rota_line; do
		rota_answer=$("$1" "$rota_line") || rota_answer=
		printf '%s\n' "$rota_answer" | tr '\n' ' ' | sed 's/ $//'	# one line, whatever it printed
		echo
	done
}
