#!/bin/sh
# busy.sh CMD...: runs it beside a stranger that never sleeps
while :; do :; done &
stranger=$!
trap 'kill $stranger' EXIT
"$@"
