# nodes.sh N: a control store of its own, and N nodes of one process that join it (contrib/bench/nodes.c)
dir=$(mktemp -d) || exit 1
mkdir -m 700 "$dir/run" && mkfifo "$dir/ready"
ROTA_DIR=$dir/run rgcs -q --no-restart --dir "$dir/state" --listen 127.0.0.1:0 --key "$dir/key" --ready-fd 3 3>"$dir/ready" & store=$!
trap 'kill $store; wait; rm -rf "$dir"' EXIT
read -r address <"$dir/ready"
"$O/contrib/bench/nodes" "$1" "$address" "$dir/key" $store
