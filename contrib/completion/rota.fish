# rota.fish - completion for fish, as rota.bash: every program says its own words
function __rota_words
	set -l line (commandline -opc)
	set -l word (commandline -ct)
	set -l words ($line[1] --complete-words 2>/dev/null </dev/null)
	set -l verb
	if set -q line[2]; and not string match -q -- '-*' $line[2]; and contains -- $line[2] $words
		set verb $line[2]
		set words ($line[1] $verb --complete-words 2>/dev/null </dev/null)
	end
	if contains -- $line[-1] -o --columns; and contains -- --columns $words
		set -l done (string replace -r '[^,]*$' '' -- $word)
		string replace -r '^' -- "$done" ($line[1] $verb -o help 2>/dev/null </dev/null)
		return
	end
	if string match -q -- '-*' $word
		string match -- '--*' $words
	else if set -q verb[1]; or test (count $line) -eq 1
		string match -v -- '-*' $words
	end
end
for p in rota rlua rmap robj rstat rlet rgcs
	complete -c $p -a '(__rota_words)'
end
