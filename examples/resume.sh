#!/bin/sh
# resume.sh - a long job that was interrupted goes on where it stopped: --joblog and --resume
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

# the third of five fails, and ends the run
rmap -j 1 --joblog log --halt now,fail=1 -s 'test {} != 3 && echo did {} >>done' ::: 1 2 3 4 5 2>/dev/null
echo "status $?, $(wc -l <done) done"
#> status 1, 2 done

# again with --resume: what the log has as done is not done twice; --resume-failed also tries what failed
rmap -j 1 --joblog log --resume -s 'test {} != 3 && echo did {} >>done' ::: 1 2 3 4 5
cat done
#> did 1
#> did 2
#> did 4
#> did 5
tail -n +2 log | cut -f 1,7 | xargs -n 2	# a line an item: its number, its status
#> 1 0
#> 2 0
#> 3 1
#> 4 0
#> 5 0
