#!/bin/sh
# pipes.sh - rmap in pipelines: every line in parallel, on all CPUs
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
for i in 1 2 3 4; do seq "$i" 1000 >"$i.log"; done

# a program for each line; the line is its last argument.  -k keeps the order of the input
ls *.log | rmap -k wc -l
#> 1000 1.log
#> 999 2.log
#> 998 3.log
#> 997 4.log

# {} is the line, {.} the line without its extension, {#} its number
ls *.log | rmap -k -- echo '{#} {} {.}.gz'
#> 1 1.log 1.gz
#> 2 2.log 2.gz
#> 3 3.log 3.gz
#> 4 4.log 4.gz

# names with blanks and quotes are safe: one line, one argument.  -0 for names with newlines
printf '%s\0' "it's one" 'and  two' | rmap -0 -k printf '<%s>\n'
#> <it's one>
#> <and  two>

# text for a shell, if a shell is wanted
ls *.log | rmap -k -s 'tail -1 {} | wc -c'
#> 5
#> 5
#> 5
#> 5

# Lua for each line, many lines a task: as fast as a filter written in C
seq 1000000 | rmap -e 'line % 3 == 0 and line * line or nil' | tail -1 | wc -l
#> 1

# several items a command, and arguments instead of a pipe
rmap -k -n 2 echo ::: a b c d e
#> a b
#> c d
#> e
