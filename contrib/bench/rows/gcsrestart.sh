# gcsrestart.sh ACTORS GROUPS: a control store of its own with so many of them is killed and started again (contrib/bench/gcsrestart.c)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir -m 700 "$dir/run" && ROTA_DIR=$dir/run "$O/contrib/bench/gcsrestart" "$1" "$2" "$dir/state"
