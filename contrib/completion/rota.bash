# rota.bash - completion for bash, and for zsh by bashcompinit: every program says its own words.
# Options, verbs and the ids that a verb takes come from PROGRAM [VERB] --complete-words, columns from -o help; where none
# fits, file names as always.
_rota()
{
	local word=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} prog=$1 words w
	local -a verb=()
	COMPREPLY=()
	words=$("$prog" --complete-words 2>/dev/null </dev/null) || return 0
	if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} != -* && $'\n'$words$'\n' == *$'\n'"${COMP_WORDS[1]}"$'\n'* ]]; then
		verb=("${COMP_WORDS[1]}")
		words=$("$prog" "${verb[@]}" --complete-words 2>/dev/null </dev/null) || return 0
	fi
	if [[ ( $prev == -o || $prev == --columns ) && $'\n'$words$'\n' == *$'\n--columns\n'* ]]; then
		while IFS= read -r w; do
			[[ $w == "${word##*,}"* ]] && COMPREPLY+=("${word%"${word##*,}"}$w")
		done < <("$prog" "${verb[@]}" -o help 2>/dev/null </dev/null)
		return 0
	fi
	if [[ ( $prev == -A || $prev == --address ) && $'\n'$words$'\n' == *$'\n--address\n'* ]]; then
		for w in local private $(cd "${XDG_CONFIG_HOME:-$HOME/.config}/rota" 2>/dev/null && ls | sed -n 's/\.lua$//p'); do [[ $w == "$word"* ]] && COMPREPLY+=("$w"); done
		return 0
	fi
	while IFS= read -r w; do
		case $w in
		-?) ;;
		-*) [[ $word == -* && $w == "$word"* ]] && COMPREPLY+=("$w") ;;
		*) [[ $word != -* && ( $COMP_CWORD -eq 1 || -n ${verb[*]} ) && $w == "$word"* ]] && COMPREPLY+=("$w") ;;
		esac
	done <<<"$words"
	return 0
}
complete -o bashdefault -o default -F _rota rota rlua rmap robj rstat rlet rgcs
