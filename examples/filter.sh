#!/bin/sh
# filter.sh - a filter in Python, which knows nothing of rota, on all CPUs: blocks of lines in, in order out
here=${0%/*}

# each run of filter.py gets two lines; -k keeps the order.  Without -n a block is 10 MB, so that starting costs nothing
seq 6 | rmap --pipe -n 2 -k -- python3 "$here/filter.py"
#> 1 odd
#> 2 even
#> 3 odd
#> 4 even
#> 5 odd
#> 6 even

seq 100000 | rmap --pipe=64K -k -- python3 "$here/filter.py" | grep -c even
#> 50000
