-- cluster.lua - a cluster of two nodes on this machine: rota up cluster.lua.  With hosts it is
--	return { name = "lab", hosts = { "node[01-04]", { "big1", cpus = 64, resources = { ssd = 1 } } }, user = "ann" }
-- see rota-cluster(5).
return {
	name = "two",
	provider = "local",
	nodes = 2,
	cpus = 1,
	store = "64M",
	resources = { ssd = 1 },
	env = { OMP_NUM_THREADS = "1" },
	limits = { core = 0 },
	setup = { "command -v rlet" },
}
