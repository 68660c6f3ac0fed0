# rota.bash - completion for bash, and for zsh by bashcompinit: every program says its own words.
# Options and verbs come from PROGRAM --complete-words; where none fits, file names as always.
_rota()
{
	local word=${COMP_WORDS[COMP_CWORD]} words w
	words=$("$1" --complete-words 2>/dev/null </dev/null) || return 0
	COMPREPLY=()
	while IFS= read -r w; do
		case $w in
		-?) ;;
		-*) [[ $word == -* && $w == "$word"* ]] && COMPREPLY+=("$w") ;;
		*) [[ $word != -* && $COMP_CWORD -eq 1 && $w == "$word"* ]] && COMPREPLY+=("$w") ;;
		esac
	done <<<"$words"
	return 0
}
complete -o bashdefault -o default -F _rota rota rlua rmap robj rstat rlet rgcs
