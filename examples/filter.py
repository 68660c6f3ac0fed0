#!/usr/bin/env python3
# filter.py - reads lines, writes what it made of them: a filter like any other, so rmap can run it on all CPUs
#   seq 6 | rmap --pipe -n 2 -k -- python3 filter.py
import sys

for line in sys.stdin:
    n = int(line)
    print(n, "even" if n % 2 == 0 else "odd")
