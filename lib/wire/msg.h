/*
 * msg - every message of the protocol, declared once.  From this table come the structs, the encoder, the
 * decoder with its bounds (msg.c) and the tables of rota-protocol(7) (t/protocol.t compares them).
 *
 * A body is one msgpack array of the fields in the order given here.  A decoder skips elements past those
 * it knows and leaves missing ones zero, so that a newer peer may append fields.  Decoded spans point into
 * the frame's body and live as long as it does.
 *
 * Field kinds: U unsigned 64, I signed 64, S text (at most MSG_TEXT bytes), B bytes, D id (16 bytes).
 * Directions: c client (driver, tool, worker), n node (rlet), g control store (rgcs), z zygote, w worker, p program,
 * l link between two nodes.
 * The fourth column is the number of descriptors that travel with the frame (local sockets only).
 */
#ifndef WIRE_MSG_H
#define WIRE_MSG_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/id.h"
#include "base/span.h"

#define MSG_PROTO 1u		/* the protocol version spoken here */
#define MSG_TEXT 65536u		/* longest text field */

enum msg_output { OUTPUT_COLLAPSE, OUTPUT_ALL, OUTPUT_NONE };
enum msg_role { ROLE_DRIVER = 1, ROLE_TOOL, ROLE_WORKER, ROLE_NODE, ROLE_FAR };	/* FAR: inside a node daemon: of another node */

/* --- joining and leaving ------------------------------------------------------------------------ */
#define MSG_HELLO(F) \
	F(U, proto_min, "lowest protocol version understood") \
	F(U, proto_max, "highest") \
	F(U, role, "driver 1, tool 2, worker 3, node 4") \
	F(U, pid, "process id, for people only") \
	F(S, name, "program and first arguments, for listings") \
	F(S, namespace, "namespace asked for; empty: the job's own") \
	F(S, lua, "Lua release; another one may not exchange functions") \
	F(U, output, "what the job's tasks print is shown by the driver's stderr: repeats collapsed 0, all 1, nothing 2")
#define MSG_WELCOME(F) \
	F(U, proto, "protocol version to speak") \
	F(U, node, "node number, never used again") \
	F(U, proc, "process number, never used again on this node") \
	F(U, job, "job number") \
	F(U, bell, "index of this process's bell in the node page") \
	F(U, cpus, "CPUs of the node in thousandths") \
	F(U, arena, "bytes of the arena") \
	F(S, node_name, "name of the node") \
	F(S, namespace, "namespace given") \
	F(U, spin, "longest spin in ns; 0 never spin") \
	F(U, driver, "process number of the job's driver, whom a worker asks for names; 0: we are it")
#define MSG_FAIL(F) \
	F(U, req, "the request that failed; 0 of the control store: it ends, for this reason") \
	F(I, code, "negative error code, base/err.h") \
	F(S, text, "one line for people")
#define MSG_OK(F) F(U, req, "the request that was done")
#define MSG_BYE(F) F(U, reason, "0: an orderly end")
#define MSG_REJOIN(F) \
	F(U, proto, "protocol version that was spoken") \
	F(U, proc, "process number, as WELCOME had it") \
	F(U, bell, "its bell") \
	F(S, name, "as in HELLO") \
	F(S, namespace, "as in HELLO") \
	F(U, output, "as in HELLO")
#define MSG_OWNED(F) \
	F(B, objects, "of the sender's own, those that it knows where to find: u64 offset, u32 generation each") \
	F(B, away, "ids of those that the node may move, 16 bytes each: u32 node, u32 process, u64 sequence") \
	F(U, last, "1: no more follow; what a dead process made for the sender and is not among them is freed")
#define MSG_FLUSH(F) F(U, req, "answered once what the job's tasks have printed so far was shown")

/* --- leases and rings --------------------------------------------------------------------------- */
#define MSG_LEASE(F) \
	F(U, req, "request number, repeated in the answers") \
	F(U, shape, "number of the resource shape, of the sender's own counting") \
	F(U, cpus, "CPUs in thousandths") \
	F(U, gpus, "GPUs in thousandths") \
	F(U, memory, "bytes of private memory; 0 no claim") \
	F(B, resources, "msgpack map name -> amount in thousandths") \
	F(I, priority, "higher first") \
	F(U, backlog, "tasks that wait for such a lease") \
	F(U, want, "leases wanted in all of this shape") \
	F(U, wait, "1: an infeasible request waits instead of failing") \
	F(U, threads, "OMP_NUM_THREADS of the workers where the driver has set none; 0: none either") \
	F(D, pgroup, "placement group that it is to come from; all 0: the node") \
	F(U, bundle, "its bundle, 1 first; 0 any") \
	F(U, capture, "1: what the tasks ask for comes from the group too") \
	F(U, strategy, "0: this node, then few others; 1: the least busy of all") \
	F(S, on, "labels of the nodes that may: zone=eu,disk=in(ssd,nvme); after ; what will do if no node has these. Empty: any node")
#define MSG_GRANT(F) \
	F(U, req, "the request answered; an actor's ring: the number of ACTOR_OPEN") \
	F(U, lease, "lease number; also the ring's number") \
	F(U, shape, "shape of the request") \
	F(U, proc, "process number of the worker") \
	F(U, bell, "its bell") \
	F(U, actor, "actor number if this is an actor's ring, else 0") \
	F(U, incarnation, "the actor's incarnation, 1 first") \
	F(U, group, "as in ACTOR_OPEN") \
	F(U, node, "of a worker of another node: its number; 0")
#define MSG_RETURN(F) F(U, lease, "lease given back; its ring is empty")
#define MSG_WANT(F) F(U, lease, "lease called back: feed it no more, take back, return it")
#define MSG_RING(F) \
	F(U, lease, "ring number") \
	F(U, proc, "process number of the submitter") \
	F(U, bell, "its bell") \
	F(U, job, "job of the submitter") \
	F(U, cpus, "CPUs granted in thousandths, for OMP_NUM_THREADS and nested work") \
	F(U, actor, "actor number if calls come through this ring, else 0") \
	F(U, memory, "bytes granted; 0 none") \
	F(U, gpus, "GPUs granted in thousandths") \
	F(U, devices, "which: bit i is GPU i") \
	F(B, resources, "custom resources granted, as in LEASE") \
	F(U, group, "as in ACTOR_OPEN") \
	F(D, pgroup, "placement group that the worker is in, or all 0") \
	F(U, bundles, "how many that has") \
	F(U, capture, "1: what it asks for comes from there unless it says otherwise") \
	F(U, node, "of a submitter of another node: that node; else 0") \
	F(U, was, "and its process number there")
#define MSG_UNRING(F) F(U, lease, "the ring is gone: unmap it")
#define MSG_BLOCKED(F) F(U, on, "1: this worker waits and gives up its CPUs; 0: it runs again")
#define MSG_KILL(F) \
	F(U, lease, "lease whose worker is to be killed") \
	F(U, task, "only if it still runs this task of the sender; 0 whatever it runs")
#define MSG_RETIRE(F) F(U, reason, "this worker claims no more and wants to be replaced; 1: it made its number of calls, 2: it has become too large")
#define MSG_NOTICE(F) F(S, text, "what a driver's user should know, as 'waiting for 1 GPU: 0 of 4 free'")
#define MSG_CANCEL(F) \
	F(U, lease, "lease whose worker is to look which of the sender's tasks are marked; 0: only scope counts") \
	F(U, scope, "the node tells all processes of the job: tasks of this scope end; 0 none") \
	F(U, slot, "of the task that was marked; 0: none, what a worker of another node has not begun is to come back") \
	F(U, spare, "1: its children go on") \
	F(U, late, "1: it was marked as its time is up") \
	F(U, task, "of slot: the low half of its id")
#define MSG_DEAD(F) \
	F(U, proc, "process number that died") \
	F(I, code, "ERR_CRASHED, ERR_OOM, ERR_CLOSED for an orderly end, …") \
	F(S, text, "how, e.g. 'worker 4711 killed by SIGSEGV'") \
	F(U, charged, "ERR_OOM: 1: it would not have fit alone either, so the attempt counts") \
	F(U, node, "of another node: its number there, and that node; else 0") \
	F(U, was, "process number there")
#define MSG_AWAKE(F) F(U, reserved, "0: work begins: the node page said that nobody looks")

/* --- memory ------------------------------------------------------------------------------------- */
#define MSG_EXTENT(F) \
	F(U, req, "request number") \
	F(U, bytes, "bytes wanted in one run") \
	F(U, wait, "milliseconds to wait for room before FAIL")
#define MSG_LENT(F) \
	F(U, req, "request number") \
	F(U, off, "offset in the arena") \
	F(U, bytes, "length")
#define MSG_UNLEND(F) \
	F(U, off, "an empty extent given back") \
	F(U, bytes, "length")
#define MSG_FREE(F) \
	F(B, objects, "packed u64 offset, u32 generation pairs, 12 bytes each, of objects nobody holds") \
	F(U, spare, "to a client: 1: give all free room back, the node is full; to the node: 1: somebody may look at them yet")
#define MSG_COLLECT(F) F(U, round, "collect garbage: the arena is full")
#define MSG_COLLECTED(F) F(U, round, "what was free here went back; again once garbage was collected, which may be late")
#define MSG_KEEP(F) \
	F(U, req, "request number") \
	F(D, id, "object given to the node") \
	F(U, off, "where it lies") \
	F(U, gen, "its generation") \
	F(S, name, "name, may be empty") \
	F(U, ttl, "nanoseconds to live; 0 until removed")
#define MSG_EVICT(F) F(B, objects, "may the node move these of yours? packed u64 low half of the id, u64 offset, u32 record")
#define MSG_EVICTABLE(F) \
	F(B, objects, "packed u64 low half of the id, u64 offset: the node may, and it frees them from now on") \
	F(B, refused, "packed u64 low halves of the others: in use, or gone")
#define MSG_RESTORE(F) \
	F(U, req, "request number; answered by FOUND or FAIL") \
	F(D, id, "an object that does not lie where it lay: into the arena again, please")
#define MSG_FORGET(F) F(B, objects, "packed ids, 16 bytes each, of EVICTABLE objects that nobody holds any more")
#define MSG_ABANDON(F) \
	F(U, proc, "dead worker: what it made for these tasks is freed, nobody was told of it") \
	F(B, tasks, "packed u64 numbers of the sender's tasks that it ran when it died") \
	F(B, kept, "packed u64 offsets of values of theirs that were taken")
#define MSG_LOOKUP(F) \
	F(U, req, "request number") \
	F(S, text, "full id, unique prefix of 4 or more hex digits, or name") \
	F(U, wait, "1: answered once there is such an object")
#define MSG_FOUND(F) \
	F(U, req, "request number") \
	F(D, id, "the object") \
	F(U, off, "where it lies") \
	F(U, gen, "generation") \
	F(U, size, "bytes of payload") \
	F(S, name, "its name")
#define MSG_REMOVE(F) \
	F(U, req, "request number") \
	F(D, id, "kept object to forget")

/* --- between processes of a node, carried by rlet ------------------------------------------------ */
#define MSG_ROUTE(F) \
	F(U, proc, "to; the node rewrites it to the sender when it passes the frame on") \
	F(U, kind, "enum route_kind") \
	F(D, id, "object it is about") \
	F(U, arg, "ASK: 1: the node has it no more; HOLD: the holder; ANSWER: enum route_state; NAME: request number; CANCEL: how") \
	F(B, body, "ANSWER: payload or location; DROP: packed ids; NAME, NAMED: kind byte and text or value") \
	F(U, node, "whose process proc is: as in an id; 0: this one's, or what this node calls a process of another one")
enum route_kind {
	ROUTE_ASK = 1,		/* where is it, what is it: ANSWER when ready */
	ROUTE_ANSWER,		/* arg: 1 payload in body (nvals u16 first), 2 location (wref) in body, 3 error payload */
	ROUTE_HOLD,		/* process arg now holds id, or the ids in body; answered by HELD with the same */
	ROUTE_HELD,
	ROUTE_DROP,		/* the sender no longer holds the ids in body, each as often as it was put on the list */
	ROUTE_NAME,		/* a worker lacks a global or module; body: 'g' or 'm', then the name */
	ROUTE_NAMED,		/* body: 'v' encoded value | 's' source text | '0' absent, then reason */
	ROUTE_CANCEL,		/* to the owner: cancel the task that makes id; arg: 1 by force, 2 without its children */
};

/* --- actors -------------------------------------------------------------------------------------- */
#define MSG_ACTOR_NEW(F) \
	F(U, req, "request number") \
	F(S, name, "name in the namespace, or empty") \
	F(S, class, "name of the class, for people and messages") \
	F(B, methods, "msgpack array of method names, then maybe a map of what callers must know") \
	F(B, spec, "what the worker needs: packed function block and constructor payload (client/actor.h)") \
	F(U, cpus, "as in LEASE") \
	F(U, gpus, "as in LEASE") \
	F(U, memory, "as in LEASE") \
	F(B, resources, "as in LEASE") \
	F(U, restarts, "restarts allowed; 2^32-1 without end") \
	F(U, detached, "1: outlives its creator") \
	F(U, wait, "as in LEASE") \
	F(U, job, "job of the creator, filled in by the node") \
	F(S, namespace, "its namespace, filled in by the node") \
	F(U, threads, "as in LEASE") \
	F(U, reuse, "1: if the name is taken, the actor that has it is the answer") \
	F(D, pgroup, "as in LEASE") \
	F(U, bundle, "as in LEASE") \
	F(U, capture, "as in LEASE") \
	F(U, node, "filled in by the node: where it will live; 0: that is to be found") \
	F(U, strategy, "as in LEASE") \
	F(S, on, "as in LEASE")
#define MSG_ACTOR(F) \
	F(U, req, "request number") \
	F(U, actor, "actor number, never used again") \
	F(S, class, "its class") \
	F(B, methods, "as in ACTOR_NEW") \
	F(U, found, "1: it was there before") \
	F(U, node, "where it lives; 0: not known now, ask with ACTOR_WHERE")
#define MSG_ACTOR_START(F) \
	F(U, actor, "actor that this worker is from now on") \
	F(U, incarnation, "1 first") \
	F(S, name, "its name") \
	F(S, class, "its class") \
	F(B, spec, "as in ACTOR_NEW") \
	F(B, methods, "as in ACTOR_NEW") \
	F(U, memory, "bytes granted; 0 none") \
	F(U, set, "set that it is a member of, or 0") \
	F(U, rank, "which: 0 first")
#define MSG_ACTOR_UP(F) \
	F(U, actor, "actor that was constructed, or not") \
	F(U, ok, "1 it serves, 0 its constructor failed") \
	F(B, error, "encoded error value")
#define MSG_ACTOR_OPEN(F) \
	F(U, req, "request number; answered by GRANT or FAIL, again after each restart") \
	F(U, actor, "actor number") \
	F(U, group, "concurrency group of the calls, in the order of the methods' map; 0: those that name none")
#define MSG_ACTOR_STATE(F) \
	F(U, actor, "actor number") \
	F(U, state, "enum actor_state") \
	F(U, incarnation, "of which") \
	F(S, text, "why it died") \
	F(B, error, "encoded error value of a failed constructor, or empty")
enum actor_state { ACTOR_PENDING = 1, ACTOR_ALIVE, ACTOR_RESTARTING, ACTOR_DEAD };
#define MSG_ACTOR_HOLD(F) \
	F(U, actor, "somebody has a handle now") \
	F(U, proc, "who; 0 the sender")
#define MSG_ACTOR_DROP(F) F(U, actor, "the sender has no handle any more; the last one ends the actor after its queued calls")
#define MSG_ACTOR_KILL(F) \
	F(U, req, "request number; 0: no answer wanted") \
	F(U, actor, "actor number") \
	F(U, stop, "1: after the calls already sent; 0: at once") \
	F(U, restart, "1: it may be restarted")
#define MSG_ACTOR_STOP(F) F(U, actor, "worker: finish what is in the rings, then exit")
#define MSG_ACTOR_FIND(F) \
	F(U, req, "request number; answered by ACTOR or FAIL") \
	F(S, namespace, "empty: the sender's") \
	F(S, name, "its name")

/* --- channels ------------------------------------------------------------------------------------- */
#define MSG_CHAN_NEW(F) \
	F(U, req, "request number; answered by CHAN or FAIL") \
	F(U, bytes, "bytes of its ring: a power of two") \
	F(U, items, "messages that may be under way; 0: as many as fit")
#define MSG_CHAN_OPEN(F) \
	F(U, req, "request number; answered by CHAN or FAIL") \
	F(U, chan, "channel number") \
	F(U, end, "0 writing, 1 reading: the sender has this end from now on")
#define MSG_CHAN(F) \
	F(U, req, "request number") \
	F(U, chan, "channel number, never used again on this node; after CHAN_NEW the sender has both ends")
#define MSG_CHAN_CLOSE(F) \
	F(U, chan, "channel number") \
	F(U, end, "the end that the sender had and closed")

/* --- looking -------------------------------------------------------------------------------------- */
#define MSG_LIST(F) \
	F(U, req, "request number; answered by ROWS until one has last = 1") \
	F(S, what, "nodes (all), node (the one that is asked), workers tasks actors objects ...") \
	F(U, job, "only this job; 0 all")
#define MSG_ROWS(F) \
	F(U, req, "request number") \
	F(U, last, "1: no more") \
	F(B, rows, "msgpack array of maps, column name -> value")
#define MSG_STOP(F) \
	F(U, force, "end the node; 1 although work runs") \
	F(U, req, "request number; answered by OK or FAIL")
#define MSG_DRAIN(F) \
	F(U, node, "its number; 0: the one that is asked") \
	F(U, on, "1: it takes nothing new, and ends when what runs there is over; 0: it takes work again") \
	F(U, req, "request number; answered by OK or FAIL")
#define MSG_SCALE(F) \
	F(S, types, "what nodes could come, each N*name=amount,...: how many besides those that are there, and what each offers, a space between two; empty: none") \
	F(S, drains, "numbers of nodes that are to drain, a space between two; both hold until the client leaves")

/* --- node and zygote, node and control store ------------------------------------------------------- */
#define MSG_ZFORK(F) \
	F(U, proc, "process number of the new worker") \
	F(U, job, "its job") \
	F(S, env, "NAME=VALUE strings, NUL between them: the driver's, an empty one, then more; ?NAME=VALUE if there is none")
#define MSG_ZFORKED(F) \
	F(U, proc, "process number") \
	F(I, pid, "process id, or negative errno; with a pidfd if positive")
#define MSG_ZEXIT(F) \
	F(U, proc, "worker that was reaped") \
	F(U, status, "as of waitpid(2)")
#define MSG_ZSTOP(F) \
	F(U, proc, "worker that was stopped by a signal, or goes on") \
	F(U, on, "1 it is stopped, 0 it goes on")
#define MSG_ZWATCH(F) F(U, reserved, "0; with the node page: once the time in it is past, all that was forked is ended")
#define MSG_NODE_JOIN(F) \
	F(S, name, "host name") \
	F(U, cpus, "in thousandths") \
	F(U, memory, "bytes") \
	F(B, resources, "msgpack map") \
	F(U, pid, "process id of the node daemon") \
	F(U, node, "number from an earlier join of the same incarnation; 0 first") \
	F(U, heir, "1: its daemon died and another one took over: of what ran there goes on what the next three name, u64 each, ascending") \
	F(B, procs, "of an heir: processes that are waited for") \
	F(B, jobs, "of an heir: jobs") \
	F(B, actors, "of who joins again: those that it has; others were lost before it heard of them, or have died") \
	F(S, addr, "HOST:PORT where other nodes connect to it; empty: they cannot") \
	F(U, gpus, "in thousandths") \
	F(B, labels, "msgpack map name -> text") \
	F(U, store, "bytes of the object store") \
	F(U, incarnation, "of the daemon, drawn at its start: another one is another peer for other nodes") \
	F(U, beats, "1: it is on another machine and sends HEARTBEAT") \
	F(U, attempt, "when the connection was begun, by the node's own monotonic clock: one begun before the last that joined is refused") \
	F(U, head, "the control store that it has joined, as NODE_JOINED had it; 0 none yet")
#define MSG_NODE_JOINED(F) \
	F(U, node, "node number") \
	F(U, epoch, "of the control store, raised at each start") \
	F(U, limit, "ns: work stops so long after the last HEARTBEAT left that is known to have come; 0 never") \
	F(U, head, "which control store this is, drawn when its directory was made: another one is another cluster's")
#define MSG_HEARTBEAT(F) \
	F(U, number, "1 first; to a node: this one has come") \
	F(U, limit, "that the node goes by; 0: it was told none yet")
#define MSG_NODE_LOAD(F) F(B, load, "how loaded the node is: msgpack map, see Nodes")
#define MSG_NODES(F) \
	F(U, anew, "1: forget what came before; it holds until all is there") \
	F(U, more, "1: not all of what is to be known yet") \
	F(B, rows, "changes of the list of nodes, see Nodes")
#define MSG_JOB_NEW(F) \
	F(U, req, "request number; answered by JOB") \
	F(S, name, "program") \
	F(S, namespace, "asked for")
#define MSG_JOB(F) \
	F(U, req, "request number") \
	F(U, job, "job number")
#define MSG_PAST(F) \
	F(U, req, "request number; answered by PAST_ROWS") \
	F(S, what, "actors jobs nodes groups: those that are over") \
	F(U, from, "0 first, then next of the answer before")
#define MSG_PAST_ROWS(F) \
	F(U, req, "request number") \
	F(U, next, "where there is more; 0: there is not") \
	F(U, count, "rows") \
	F(B, rows, "msgpack maps, one after the other, as in ROWS, the oldest first")
#define MSG_JOB_END(F) F(U, job, "the job is over")
#define MSG_ACTOR_NOTE(F) \
	F(U, actor, "actor number") \
	F(U, state, "enum actor_state, told by its node") \
	F(U, incarnation, "of which") \
	F(S, text, "why")
#define MSG_ACTOR_WHERE(F) \
	F(U, req, "request number; answered by ACTOR once it lives somewhere, or by FAIL") \
	F(U, actor, "actor number")

/* --- between nodes, lib/link ------------------------------------------------------------------------ */
#define MSG_PEER(F) \
	F(U, proto_min, "lowest protocol version understood") \
	F(U, proto_max, "highest") \
	F(U, node, "number of the sender") \
	F(U, to, "number of the node that it wants to speak to, or answers") \
	F(U, incarnation, "of the sender's link: never used again") \
	F(U, session, "incarnation of the peer that its session is with; 0: it has none") \
	F(U, received, "number of the last frame of that that it has") \
	F(U, lane, "what the connection is for: 0 the session, 1 chunks of objects") \
	F(U, attempt, "of who connected: when it began to, by its own monotonic clock; 0 in an answer") \
	F(U, heard, "the last attempt of the receiver for that lane that the sender took; 0 none")
#define MSG_PEER_ACK(F) F(U, upto, "number of a frame: all up to it have come")
#define MSG_FAR_TASKS(F) \
	F(U, ring, "number of the ring, as the receiver knows it: from its lease, or its actor's") \
	F(B, tasks, "tasks for its worker, as lib/link/packed.h has them")
#define MSG_FAR_DONES(F) \
	F(U, ring, "number of the ring, as the sender knows it") \
	F(B, dones, "what became of tasks, as lib/link/packed.h has them")
#define MSG_FAR_FN(F) \
	F(U, proc, "process of the sender's node that submits it") \
	F(U, serial, "of the function there") \
	F(U, kind, "enum fn_kind, ring/rec.h") \
	F(U, nret, "results that it publishes one by one; 0: all as one") \
	F(U, flags, "FNBLK_*") \
	F(U, once, "1: its tasks are not tried again") \
	F(S, name, "for people") \
	F(B, code, "its bytes")
#define MSG_FAR_JOB(F) \
	F(U, job, "job number: there will be leases of it") \
	F(S, name, "its program") \
	F(S, namespace, "its namespace") \
	F(U, driver, "process number of its driver, at its node") \
	F(S, dir, "its directory") \
	F(B, env, "its environment: NAME=VALUE, NUL between") \
	F(U, home, "node of the driver, which is told with FAR_KNOW by one that learns of the job by another; 0: the sender's") \
	F(U, output, "1: what its tasks print is to be sent to that node")
#define MSG_FAR_KNOW(F) F(U, proc, "process of the receiver's node: the sender is to be told by FAR_GONE when it is gone")
#define MSG_FAR_ASK(F) \
	F(U, ask, "number of the sender's counting, repeated in the answers") \
	F(U, proc, "process number of the submitter, at the sender's node") \
	F(U, job, "its job") \
	F(U, shape, "as in LEASE") \
	F(U, n, "so many leases of this shape are asked for, beyond those that were answered") \
	F(U, patient, "1: they are waited for; 0: what is not granted at once is refused") \
	F(U, cpus, "as in LEASE") \
	F(U, gpus, "as in LEASE") \
	F(U, memory, "as in LEASE") \
	F(B, resources, "as in LEASE") \
	F(I, priority, "as in LEASE") \
	F(U, threads, "as in LEASE") \
	F(U, group, "number of the placement group that it is to come from; 0: the node") \
	F(U, bundle, "its bundle, 1 first; 0 any") \
	F(U, capture, "as in LEASE")
#define MSG_FAR_UNASK(F) \
	F(U, ask, "of a FAR_ASK") \
	F(U, proc, "as in FAR_ASK") \
	F(U, n, "so many of it that are not answered yet are not wanted any more")
#define MSG_FAR_ANSWER(F) \
	F(U, ask, "of a FAR_ASK; each lease of it is answered once") \
	F(U, proc, "as in FAR_ASK") \
	F(U, shape, "as in FAR_ASK") \
	F(U, granted, "1: a lease; 0") \
	F(U, refused, "so many it will not get") \
	F(U, dropped, "so many it has asked back") \
	F(U, ring, "granted: number of the ring, as FAR_TASKS is to call it") \
	F(U, worker, "granted: process number of the worker, at the sender's node") \
	F(B, load, "how loaded the sender is now, as in NODE_LOAD")
#define MSG_FAR_WANT(F) F(U, ring, "of a FAR_ANSWER: its lease is called back, as in WANT")
#define MSG_FAR_DRAIN(F) F(U, on, "as in DRAIN, for the receiver")
#define MSG_FAR_CLOSE(F) \
	F(U, ring, "of a FAR_ANSWER: it is given back, or taken away") \
	F(U, mine, "1: the sender has the worker")
#define MSG_FAR_GONE(F) \
	F(U, proc, "process of the sender's node that is gone") \
	F(I, code, "as in DEAD") \
	F(S, text, "as in DEAD") \
	F(U, charged, "as in DEAD")
#define MSG_FAR_KILL(F) \
	F(U, ring, "of a FAR_ANSWER whose worker is to be killed") \
	F(U, task, "as in KILL")
#define MSG_FAR_TAKE(F) F(B, objects, "ids of objects whose owners are at the receiver, 16 bytes each: fetch them, the sender is to let them go; FAR_TOOK answers")
#define MSG_FAR_TOOK(F) F(B, objects, "ids of a FAR_TAKE, 16 bytes each, that are here now")
#define MSG_FAR_ROUTE(F) \
	F(U, proc, "process of the receiver's node that it is for") \
	F(U, from, "process of the sender's node that it is from") \
	F(U, kind, "as in ROUTE") \
	F(D, id, "as in ROUTE") \
	F(U, arg, "as in ROUTE; HOLD: process number at the node that follows") \
	F(U, node, "of HOLD: the holder's node") \
	F(B, body, "as in ROUTE")
#define MSG_FAR_ACTOR_NEW(F) \
	F(U, actor, "actor number: the receiver is to be its home; the sender keeps it") \
	F(U, job, "its job: FAR_JOB came before") \
	F(U, proc, "process that made it and holds it; 0: who holds it will say so") \
	F(U, node, "node of that; 0: the sender's") \
	F(U, incarnation, "1 first") \
	F(U, restarts, "that are left; 2^32-1 without end") \
	F(U, set, "set of the sender's that it is a member of, or 0") \
	F(U, rank, "which: 0 first") \
	F(S, text, "how the incarnation before it ended") \
	F(B, new, "body of its ACTOR_NEW")
#define MSG_FAR_ACTOR(F) \
	F(U, actor, "actor number, of an actor whose home is the receiver") \
	F(U, op, "a process holds it 0, drops it 1, opens it 2, watches it 3; it is to end 4: as in the ACTOR_… messages") \
	F(U, proc, "the process") \
	F(U, node, "its node; 0: the sender's") \
	F(U, group, "as in ACTOR_OPEN") \
	F(U, req, "as in ACTOR_OPEN") \
	F(U, stop, "as in ACTOR_KILL") \
	F(U, restart, "as in ACTOR_KILL")
#define MSG_FAR_ACTOR_RING(F) \
	F(U, actor, "actor number") \
	F(U, incarnation, "as in GRANT") \
	F(U, group, "as in ACTOR_OPEN") \
	F(U, req, "as in ACTOR_OPEN") \
	F(U, proc, "process of the receiver's node that opened it") \
	F(U, ring, "number of the ring, as FAR_TASKS is to call it") \
	F(U, worker, "process number of its worker, at the sender's node")
#define MSG_FAR_ACTOR_STATE(F) \
	F(U, actor, "actor number") \
	F(U, proc, "process of the receiver's node that is to know") \
	F(U, state, "enum actor_state") \
	F(U, incarnation, "of which") \
	F(S, text, "as in ACTOR_STATE") \
	F(B, error, "as in ACTOR_STATE")
#define MSG_FAR_ACTOR_NOTE(F) \
	F(U, actor, "actor number, of one that the receiver keeps") \
	F(U, state, "enum actor_state") \
	F(U, incarnation, "of which") \
	F(U, restarts, "that are left") \
	F(U, unfit, "1: it died of what it is: no place for it, or its constructor failed") \
	F(S, text, "as in ACTOR_STATE") \
	F(B, error, "as in ACTOR_STATE")
#define MSG_FAR_ACTOR_MAKE(F) \
	F(U, job, "a job of the receiver's node; its process on the sender's node makes an actor") \
	F(U, proc, "process of the sender's node, answered by FAR_ACTOR_MADE or FAR_FAIL") \
	F(B, new, "body of its ACTOR_NEW")
#define MSG_FAR_ACTOR_MADE(F) \
	F(U, proc, "process of the receiver's node that asked") \
	F(U, req, "as in ACTOR") \
	F(U, actor, "as in ACTOR") \
	F(S, class, "as in ACTOR") \
	F(B, methods, "as in ACTOR")
#define MSG_FAR_FAIL(F) \
	F(U, proc, "process of the receiver's node that asked for something") \
	F(U, req, "as in FAIL") \
	F(I, code, "as in FAIL") \
	F(S, text, "as in FAIL")
#define MSG_FAR_ACTOR_NONE(F) \
	F(U, actor, "actor number of a FAR_ACTOR: it does not live at the sender's; or of a FAR_ACTOR_NEW:") \
	F(U, full, "1: there is no room for it now")
#define MSG_FAR_RING(F) \
	F(U, ring, "number of the ring, as the sender knows it") \
	F(U, want, "0; 1: what is not begun goes back, 2 and nothing more is") \
	F(U, blocked, "1: its worker waits for something")
#define MSG_FAR_CANCEL(F) \
	F(U, ring, "of a FAR_GRANT, that the task went through; 0: only scope counts") \
	F(U, slot, "of the task that is to end, as in FAR_TASKS; 0: none, what is not begun goes back") \
	F(U, spare, "as in CANCEL") \
	F(U, late, "as in CANCEL") \
	F(U, job, "job of the scope") \
	F(U, scope, "as in CANCEL: told to all processes of the job, and passed on to other nodes that have some") \
	F(D, round, "of that order, so that it is passed on once") \
	F(U, task, "as in CANCEL: another one may have its slot by now")
#define MSG_FAR_TAKEN(F) \
	F(U, ring, "of a FAR_GRANT, that a task which streams went through") \
	F(U, slot, "of the task, as in FAR_TASKS") \
	F(U, taken, "items that its consumer has taken") \
	F(U, bytes, "and what of them lay in the store")
#define MSG_FAR_OUTPUT(F) \
	F(U, job, "job whose tasks printed it, to its driver's node") \
	F(B, lines, "records, as core/output.h has them; answered by FAR_SHOWN")
#define MSG_FAR_SHOWN(F) \
	F(U, job, "as in FAR_OUTPUT") \
	F(U, bytes, "of lines that were shown, or that nobody wants to see; 256 KiB of a job's are under way at most")
#define MSG_FAR_FLUSH(F) \
	F(U, job, "a job of the sender's: answered by FAR_FLUSHED once what its tasks have printed so far was sent") \
	F(U, round, "repeated in the answer")
#define MSG_FAR_FLUSHED(F) \
	F(U, job, "as in FAR_FLUSH") \
	F(U, round, "as in FAR_FLUSH")

/* --- key-value store -------------------------------------------------------------------------------- */
#define MSG_KV_GET(F) \
	F(U, req, "request number; answered by KV_ROWS") \
	F(B, key, "1 to 255 bytes; with list a prefix, maybe empty") \
	F(U, list, "1: all keys that begin so") \
	F(B, after, "list: those behind this key")
#define MSG_KV_ROWS(F) \
	F(U, req, "request number") \
	F(U, revision, "of the store") \
	F(U, more, "1: there are more, ask again with after") \
	F(B, rows, "msgpack arrays, one after the other: key, value, revision of its making and of its last change, session")
#define MSG_KV_TXN(F) \
	F(U, req, "request number; answered by KV_DONE or FAIL") \
	F(B, compares, "msgpack pairs, one after the other: key, revision that it must have, 0 absent") \
	F(B, ops, "msgpack arrays, one after the other: key, value, enum kv_session; or key alone to delete it") \
	F(U, proc, "process of the sender, filled in by the node; with job 0: the node's own, for keys below rota/") \
	F(U, job, "its job, filled in by the node")
enum kv_session { KV_LASTS, KV_PROC, KV_JOB };	/* a key goes with its process, or its job */
#define MSG_KV_DONE(F) \
	F(U, req, "request number") \
	F(U, ok, "1: all was done as one commit; 0: a compared key had another revision, nothing was done") \
	F(U, revision, "of the store") \
	F(U, changed, "keys that were put, and that were there to be deleted") \
	F(B, key, "ok 0: the first key that differed") \
	F(U, have, "ok 0: its revision, 0 absent")
#define MSG_KV_WATCH(F) \
	F(U, req, "request number; answered by KV_EVENTS once there is one, or FAIL") \
	F(B, prefix, "of the keys") \
	F(U, from, "first revision wanted; 0: from the next one on")
#define MSG_KV_EVENTS(F) \
	F(U, req, "request number") \
	F(U, next, "revision to go on from") \
	F(B, events, "msgpack arrays, one after the other: revision, key, value; or revision, key if it was deleted")
#define MSG_KV_CANCEL(F) F(U, req, "KV_WATCH that is no longer waited for")
#define MSG_KV_GONE(F) F(U, proc, "this process of the node is gone, and so are the keys of its session")

/* --- placement groups ----------------------------------------------------------------------------------- */
#define MSG_GROUP_NEW(F) \
	F(D, id, "of the group: a number of the sender's own tasks") \
	F(S, name, "name in the namespace, or empty") \
	F(U, strategy, "pack 0, spread 1, strict_pack 2, strict_spread 3") \
	F(B, bundles, "msgpack arrays, one after the other: cpus, gpus, memory, resources, as in LEASE") \
	F(U, detached, "1: outlives its job") \
	F(U, timeout, "ns in which it must be placed; 0 no limit") \
	F(S, namespace, "to the control store: its namespace") \
	F(U, job, "and its maker's job") \
	F(U, home, "and the node of that job's driver")
#define MSG_GROUP_STATE(F) \
	F(D, id, "of the group") \
	F(U, state, "created 3, removed 4; of the control store also pending 1, rescheduling 5") \
	F(I, code, "removed: why") \
	F(S, text, "in a line") \
	F(U, group, "its number: of the control store, as all that follows") \
	F(B, nodes, "u32 for each bundle: its node; 0: none now") \
	F(B, bundles, "as in GROUP_NEW")
#define MSG_GROUP_ASK(F) F(D, id, "of a group: GROUP_STATE once it is created or removed, which its maker is told unasked")
#define MSG_GROUP_DEL(F) F(D, id, "of a group that is to be removed: what runs in it is killed")
#define MSG_GROUP_FIND(F) \
	F(U, req, "request number; answered by GROUP or FAIL") \
	F(S, namespace, "empty: the sender's") \
	F(S, name, "its name")
#define MSG_GROUP(F) \
	F(U, req, "request number") \
	F(D, id, "of the group") \
	F(U, bundles, "how many it has")
#define MSG_GROUP_PREPARE(F) \
	F(U, group, "number of the group: bundles of it are to be set aside") \
	F(U, round, "of this part of it, for each attempt another one") \
	F(D, id, "of the group") \
	F(U, job, "its maker's") \
	F(U, all, "how many bundles the group has") \
	F(B, which, "u32 for each of this part: which of the group's, from 0") \
	F(B, bundles, "these, as in GROUP_NEW")
#define MSG_GROUP_COMMIT(F) \
	F(U, group, "its number") \
	F(U, round, "of a part that is prepared: it holds until RELEASE")
#define MSG_GROUP_RELEASE(F) \
	F(U, group, "its number") \
	F(U, round, "of a part that is given back: what runs in it is killed")
#define MSG_GROUP_ANSWER(F) \
	F(U, group, "its number") \
	F(U, round, "of a part") \
	F(U, answer, "prepared 0, committed 1, refused 2: also what was prepared and not committed in time")
#define MSG_GROUP_HELD(F) \
	F(B, parts, "what the node has of groups, all of it, first after it joined: u64 group, round, waiting 0 prepared 1 committed 2")
#define MSG_GROUP_LIST(F) F(U, req, "request number; answered by GROUP_ROWS until one has last = 1")
#define MSG_GROUP_ROWS(F) \
	F(U, req, "request number") \
	F(U, last, "1: no more") \
	F(B, rows, "as in ROWS")

/* --- sets of actors ---------------------------------------------------------------------------------------- */
#define MSG_SET_NEW(F) \
	F(U, req, "request number; answered by SET or FAIL") \
	F(S, name, "name in the namespace, or empty") \
	F(B, actor, "body of an ACTOR_NEW: what each member is") \
	F(U, min, "members up that make it alive") \
	F(U, max, "members wanted") \
	F(U, gang, "1: placed as one, and started again as one") \
	F(U, strategy, "of a gang, as in GROUP_NEW") \
	F(U, detached, "1: outlives its job") \
	F(U, drain, "ns from stopping a member to killing it; 0 no limit") \
	F(U, period, "ns from one check of a member that is up to the next; 0 never") \
	F(U, patience, "ns until its answer must be there") \
	F(S, method, "that is called for it, or empty: its worker is to answer") \
	F(U, surge, "members above max while it is renewed; 0: the old ones go first")
#define MSG_SET(F) \
	F(U, req, "request number") \
	F(U, set, "number of the set, never used again on this node") \
	F(S, class, "class of its members") \
	F(B, methods, "as in ACTOR_NEW")
#define MSG_SET_FIND(F) \
	F(U, req, "request number; answered by SET or FAIL") \
	F(S, namespace, "empty: the sender's") \
	F(S, name, "its name")
#define MSG_SET_WATCH(F) \
	F(U, set, "number of a set: SET_STATE now and whenever it changes, which its maker is told unasked") \
	F(U, on, "0: no more of that")
#define MSG_SET_STATE(F) \
	F(U, set, "number of the set") \
	F(U, revision, "of its state, one more at each change") \
	F(U, state, "pending 1, alive 2, ending 3, dead 4") \
	F(U, min, "as in SET_NEW") \
	F(U, max, "as in SET_NEW") \
	F(S, text, "why it ends or is dead") \
	F(B, error, "encoded error value of a constructor, or empty") \
	F(B, members, "those that stay, 16 bytes each: u64 actor, u32 rank, u32 1 if it is up") \
	F(U, generation, "of a gang, 1 first")
#define MSG_SET_RESIZE(F) \
	F(U, req, "request number; answered by OK or FAIL") \
	F(U, set, "number of the set") \
	F(U, min, "as in SET_NEW") \
	F(U, max, "as in SET_NEW")
#define MSG_SET_END(F) \
	F(U, set, "number of the set") \
	F(U, kill, "1: at once; 0: after the calls already sent")
#define MSG_SET_RENEW(F) \
	F(U, req, "request number; answered by OK or FAIL") \
	F(U, set, "number of a set whose members are to be made anew")
#define MSG_HEALTH(F) \
	F(U, actor, "a worker: how is it?  Answered by HEALTHY, between calls if a method is to be called") \
	F(U, round, "of this check") \
	F(S, method, "that is called without arguments, or empty")
#define MSG_HEALTHY(F) \
	F(U, actor, "of HEALTH") \
	F(U, round, "of HEALTH; 0: it was not asked, and is not well") \
	F(U, ok, "1: it is well") \
	F(S, text, "what ails it")

/* --- objects between nodes: WANT, SOURCE and PLACE_ in a session, CHUNK_ on the connection for bulk ---------- */
#define MSG_PULL_WANT(F) \
	F(D, id, "an object, to the node of its owner: whom can it be received from?  Answered by PULL_SOURCE, maybe late, or PLACE_DROP") \
	F(U, stamp, "of what the sender has of it; 0 nothing") \
	F(U, have, "bytes of it, from the beginning") \
	F(U, not, "the source that gave nothing, refused or is gone; 0 none")
#define MSG_PULL_SOURCE(F) \
	F(D, id, "the object") \
	F(U, node, "ask this one for chunks") \
	F(U, extra, "1: besides the one that was named before") \
	F(U, bytes, "that travel: all of its block but the header") \
	F(U, stamp, "which making of the object it is") \
	F(U, size, "bytes of head and buffers") \
	F(U, headlen, "bytes of the head") \
	F(U, nbuf, "number of buffers") \
	F(U, flags, "of its header")
#define MSG_PLACE_HAS(F) \
	F(D, id, "an object that the sender has, to the node of its owner") \
	F(U, made, "1: it was made there, or the node is new; 0: it was pulled") \
	F(U, bytes, "as in PULL_SOURCE") \
	F(U, stamp, "as in PULL_SOURCE") \
	F(U, size, "as in PULL_SOURCE") \
	F(U, headlen, "as in PULL_SOURCE") \
	F(U, nbuf, "as in PULL_SOURCE") \
	F(U, flags, "as in PULL_SOURCE")
#define MSG_PLACE_PROGRESS(F) \
	F(D, id, "an object that the sender is receiving") \
	F(U, stamp, "as in PULL_SOURCE") \
	F(U, have, "bytes that it can pass on")
#define MSG_PLACE_DROPPED(F) \
	F(D, id, "an object, to the node of its owner") \
	F(U, stamp, "of what the sender had and has no more, if PLACE_DROP told it so too; 0: it wants it no more")
#define MSG_PLACE_DROP(F) \
	F(D, id, "let go what you have of it; it cannot be received any more either") \
	F(U, stamp, "of this making only; 0 any") \
	F(I, code, "0: its owner let it go; else why there is none") \
	F(S, text, "in a line")
#define MSG_PLACE_PRIMARY(F) F(D, id, "yours is the primary copy now: it goes to the disk before it goes")
#define MSG_CHUNK_ASK(F) \
	F(D, id, "an object; answered by CHUNK once that much of it is there, or CHUNK_REFUSED") \
	F(U, stamp, "as in PULL_SOURCE") \
	F(U, off, "first byte") \
	F(U, bytes, "at most 256 KiB") \
	F(U, priority, "an argument of a task that waits 0, somebody waits 1, ahead of its use 2")
#define MSG_CHUNK(F) \
	F(D, id, "the object") \
	F(U, stamp, "as in CHUNK_ASK") \
	F(U, off, "as in CHUNK_ASK") \
	F(B, bytes, "the last field, so that it can be received where it is to be")
#define MSG_CHUNK_REFUSED(F) \
	F(D, id, "no chunk of it that was asked for comes any more") \
	F(U, stamp, "as in CHUNK_ASK") \
	F(I, code, "ERR_NOTFOUND: it is not there; ERR_FULL: too much was asked for; ERR_PROTO: there is no such chunk")
#define MSG_CHUNK_STOP(F) F(D, id, "no chunk of it that was asked for is wanted any more")

/* --- a kept-running program, rota-program(7): the request number is that of the header ------------ */
#define MSG_START(F) \
	F(U, proto_min, "lowest protocol version understood") \
	F(U, proto_max, "highest") \
	F(S, name, "what the program calls itself") \
	F(U, buffers, "1: it takes the buffers of CALL")
#define MSG_CALL(F) \
	F(S, method, "what to do") \
	F(B, args, "msgpack array of the arguments") \
	F(B, buffers, "out-of-band buffers, 20 bytes each: u32 descriptor of the frame, u64 offset in it, u64 bytes")
#define MSG_REPLY(F) \
	F(B, values, "msgpack array of what the call returns") \
	F(B, buffers, "as in CALL")
#define MSG_ITEM(F) \
	F(B, values, "msgpack array of what the call gives next") \
	F(B, buffers, "as in CALL")
#define MSG_ERROR(F) \
	F(S, text, "one line for people") \
	F(S, traceback, "where, may be empty")
#define MSG_CANCEL_CALL(F) F(U, reason, "0: nobody waits for the answer any more")
#define MSG_PING(F) F(U, within, "ns: who sends nothing for so long is taken for dead")
#define MSG_PONG(F) F(U, reserved, "0")

/* X(NAME, name, code, descriptors, direction) */
#define MSG_MAP(X) \
	X(HELLO, hello, 1, 1, "c>n g>n") \
	X(WELCOME, welcome, 2, 4, "n>c") \
	X(FAIL, fail, 3, 0, "any") \
	X(OK, ok, 4, 0, "any") \
	X(BYE, bye, 5, 0, "c>n n>g") \
	X(FLUSH, flush, 6, 0, "c>n") \
	X(REJOIN, rejoin, 7, 3, "c>n") \
	X(OWNED, owned, 8, 0, "c>n") \
	X(LEASE, lease, 10, 0, "c>n") \
	X(GRANT, grant, 11, 2, "n>c") \
	X(RETURN, return, 12, 0, "c>n") \
	X(WANT, want, 13, 0, "n>c") \
	X(RING, ring, 14, 2, "n>c") \
	X(UNRING, unring, 15, 0, "n>c") \
	X(BLOCKED, blocked, 16, 0, "c>n") \
	X(KILL, kill, 17, 0, "c>n") \
	X(DEAD, dead, 18, 0, "n>c") \
	X(RETIRE, retire, 19, 0, "c>n") \
	X(AWAKE, awake, 92, 0, "c>n") \
	X(NOTICE, notice, 90, 0, "n>c") \
	X(CANCEL, cancel, 91, 0, "c>n n>c") \
	X(EXTENT, extent, 20, 0, "c>n") \
	X(LENT, lent, 21, 0, "n>c") \
	X(UNLEND, unlend, 22, 0, "c>n") \
	X(FREE, free, 23, 0, "c>n n>c") \
	X(COLLECT, collect, 24, 0, "n>c") \
	X(COLLECTED, collected, 25, 0, "c>n") \
	X(KEEP, keep, 26, 0, "c>n") \
	X(LOOKUP, lookup, 27, 0, "c>n") \
	X(FOUND, found, 28, 0, "n>c") \
	X(REMOVE, remove, 29, 0, "c>n") \
	X(ABANDON, abandon, 31, 0, "c>n") \
	X(EVICT, evict, 32, 0, "n>c") \
	X(EVICTABLE, evictable, 33, 0, "c>n") \
	X(RESTORE, restore, 34, 0, "c>n") \
	X(FORGET, forget, 35, 0, "c>n") \
	X(ROUTE, route, 30, 0, "c>n n>c") \
	X(ACTOR_NEW, actor_new, 40, 0, "c>n n>g") \
	X(ACTOR, actor, 41, 0, "g>n n>c") \
	X(ACTOR_START, actor_start, 42, 0, "n>c") \
	X(ACTOR_UP, actor_up, 43, 0, "c>n") \
	X(ACTOR_OPEN, actor_open, 44, 0, "c>n") \
	X(ACTOR_STATE, actor_state, 45, 0, "n>c") \
	X(ACTOR_HOLD, actor_hold, 46, 0, "c>n") \
	X(ACTOR_DROP, actor_drop, 47, 0, "c>n") \
	X(ACTOR_KILL, actor_kill, 48, 0, "c>n") \
	X(ACTOR_STOP, actor_stop, 49, 0, "n>c") \
	X(ACTOR_FIND, actor_find, 50, 0, "c>n n>g") \
	X(CHAN_NEW, chan_new, 55, 0, "c>n") \
	X(CHAN_OPEN, chan_open, 56, 0, "c>n") \
	X(CHAN, chan, 57, 1, "n>c") \
	X(CHAN_CLOSE, chan_close, 58, 0, "c>n") \
	X(LIST, list, 60, 0, "c>n") \
	X(ROWS, rows, 61, 0, "n>c") \
	X(STOP, stop, 62, 0, "c>n") \
	X(DRAIN, drain, 194, 0, "c>n") \
	X(SCALE, scale, 250, 0, "c>n") \
	X(ZFORK, zfork, 70, 3, "n>z") \
	X(ZFORKED, zforked, 71, 1, "z>n") \
	X(ZEXIT, zexit, 72, 0, "z>n") \
	X(ZSTOP, zstop, 73, 0, "z>n") \
	X(ZWATCH, zwatch, 74, 1, "n>z") \
	X(NODE_JOIN, node_join, 80, 0, "n>g") \
	X(NODE_JOINED, node_joined, 81, 0, "g>n") \
	X(JOB_NEW, job_new, 82, 0, "n>g") \
	X(JOB, job, 83, 0, "g>n") \
	X(JOB_END, job_end, 84, 0, "n>g") \
	X(ACTOR_NOTE, actor_note, 85, 0, "n>g") \
	X(NODE_LOAD, node_load, 86, 0, "n>g") \
	X(NODES, nodes, 87, 0, "g>n") \
	X(HEARTBEAT, heartbeat, 88, 0, "n>g g>n") \
	X(PEER, peer, 180, 0, "n>n") \
	X(PEER_ACK, peer_ack, 181, 0, "n>n") \
	X(FAR_TASKS, far_tasks, 182, 0, "n>n") \
	X(FAR_DONES, far_dones, 183, 0, "n>n") \
	X(FAR_FN, far_fn, 184, 0, "n>n") \
	X(FAR_RING, far_ring, 185, 0, "n>n") \
	X(FAR_JOB, far_job, 186, 0, "n>n") \
	X(FAR_ASK, far_ask, 187, 0, "n>n") \
	X(FAR_ANSWER, far_answer, 188, 0, "n>n") \
	X(FAR_DRAIN, far_drain, 195, 0, "n>n") \
	X(FAR_WANT, far_want, 196, 0, "n>n") \
	X(FAR_UNASK, far_unask, 189, 0, "n>n") \
	X(FAR_CLOSE, far_close, 190, 0, "n>n") \
	X(FAR_GONE, far_gone, 191, 0, "n>n") \
	X(FAR_KILL, far_kill, 192, 0, "n>n") \
	X(FAR_ROUTE, far_route, 193, 0, "n>n") \
	X(FAR_TAKE, far_take, 240, 0, "n>n") \
	X(FAR_TOOK, far_took, 241, 0, "n>n") \
	X(FAR_ACTOR_NEW, far_actor_new, 200, 0, "n>n") \
	X(FAR_ACTOR, far_actor, 201, 0, "n>n") \
	X(FAR_ACTOR_RING, far_actor_ring, 202, 0, "n>n") \
	X(FAR_ACTOR_STATE, far_actor_state, 203, 0, "n>n") \
	X(FAR_ACTOR_NOTE, far_actor_note, 204, 0, "n>n") \
	X(FAR_ACTOR_NONE, far_actor_none, 205, 0, "n>n") \
	X(ACTOR_WHERE, actor_where, 206, 0, "n>g") \
	X(FAR_ACTOR_MAKE, far_actor_make, 207, 0, "n>n") \
	X(FAR_ACTOR_MADE, far_actor_made, 208, 0, "n>n") \
	X(FAR_FAIL, far_fail, 209, 0, "n>n") \
	X(FAR_CANCEL, far_cancel, 220, 0, "n>n") \
	X(FAR_TAKEN, far_taken, 221, 0, "n>n") \
	X(FAR_OUTPUT, far_output, 222, 0, "n>n") \
	X(FAR_SHOWN, far_shown, 223, 0, "n>n") \
	X(FAR_FLUSH, far_flush, 224, 0, "n>n") \
	X(FAR_FLUSHED, far_flushed, 225, 0, "n>n") \
	X(KV_GET, kv_get, 100, 0, "c>n n>g") \
	X(KV_ROWS, kv_rows, 101, 0, "g>n n>c") \
	X(KV_TXN, kv_txn, 102, 0, "c>n n>g") \
	X(KV_DONE, kv_done, 103, 0, "g>n n>c") \
	X(KV_WATCH, kv_watch, 104, 0, "c>n n>g") \
	X(KV_EVENTS, kv_events, 105, 0, "g>n n>c") \
	X(KV_CANCEL, kv_cancel, 106, 0, "c>n n>g") \
	X(KV_GONE, kv_gone, 107, 0, "n>g") \
	X(PAST, past, 230, 0, "n>g") \
	X(PAST_ROWS, past_rows, 231, 0, "g>n") \
	X(GROUP_NEW, group_new, 110, 0, "c>n n>g") \
	X(GROUP_STATE, group_state, 111, 0, "g>n n>c") \
	X(GROUP_ASK, group_ask, 112, 0, "c>n n>g") \
	X(GROUP_DEL, group_del, 113, 0, "c>n n>g") \
	X(GROUP_FIND, group_find, 114, 0, "c>n n>g") \
	X(GROUP, group, 115, 0, "g>n n>c") \
	X(GROUP_PREPARE, group_prepare, 210, 0, "g>n") \
	X(GROUP_COMMIT, group_commit, 211, 0, "g>n") \
	X(GROUP_RELEASE, group_release, 212, 0, "g>n") \
	X(GROUP_ANSWER, group_answer, 213, 0, "n>g") \
	X(GROUP_HELD, group_held, 214, 0, "n>g") \
	X(GROUP_LIST, group_list, 215, 0, "n>g") \
	X(GROUP_ROWS, group_rows, 216, 0, "g>n") \
	X(FAR_KNOW, far_know, 217, 0, "n>n") \
	X(SET_NEW, set_new, 130, 0, "c>n") \
	X(SET, set, 131, 0, "n>c") \
	X(SET_FIND, set_find, 132, 0, "c>n") \
	X(SET_WATCH, set_watch, 133, 0, "c>n") \
	X(SET_STATE, set_state, 134, 0, "n>c") \
	X(SET_RESIZE, set_resize, 135, 0, "c>n") \
	X(SET_END, set_end, 136, 0, "c>n") \
	X(SET_RENEW, set_renew, 137, 0, "c>n") \
	X(HEALTH, health, 138, 0, "n>c") \
	X(HEALTHY, healthy, 139, 0, "c>n") \
	X(PULL_WANT, pull_want, 150, 0, "l>l") \
	X(PULL_SOURCE, pull_source, 151, 0, "l>l") \
	X(PLACE_HAS, place_has, 152, 0, "l>l") \
	X(PLACE_PROGRESS, place_progress, 153, 0, "l>l") \
	X(PLACE_DROPPED, place_dropped, 154, 0, "l>l") \
	X(PLACE_DROP, place_drop, 155, 0, "l>l") \
	X(PLACE_PRIMARY, place_primary, 156, 0, "l>l") \
	X(CHUNK_ASK, chunk_ask, 157, 0, "l>l") \
	X(CHUNK, chunk, 158, 0, "l>l") \
	X(CHUNK_REFUSED, chunk_refused, 159, 0, "l>l") \
	X(CHUNK_STOP, chunk_stop, 160, 0, "l>l") \
	X(START, start, 120, 0, "p>w") \
	X(CALL, call, 121, 0, "w>p") \
	X(REPLY, reply, 122, 0, "p>w") \
	X(ERROR, error, 123, 0, "p>w") \
	X(CANCEL_CALL, cancel_call, 124, 0, "w>p") \
	X(PING, ping, 125, 0, "w>p") \
	X(PONG, pong, 126, 0, "p>w") \
	X(ITEM, item, 127, 0, "p>w")

enum msg_type {
#define X(NAME, name, code, fds, dir) MSG_##NAME##_T = code,
	MSG_MAP(X)
#undef X
};

/* the structs: struct msg_hello { uint64_t proto_min; … struct span name; … }; */
#define MSG_KIND_U uint64_t
#define MSG_KIND_I int64_t
#define MSG_KIND_S struct span
#define MSG_KIND_B struct span
#define MSG_KIND_D struct id
#define MSG_FIELD(kind, field, doc) MSG_KIND_##kind field;
#define X(NAME, name, code, fds, dir) struct msg_##name { MSG_##NAME(MSG_FIELD) };
MSG_MAP(X)
#undef X

/*
 * msg_put_NAME appends a whole frame (header and body) to b: 0, -ENOMEM, or ERR_VALUE for a text over
 * MSG_TEXT or a body over FRAME_MAX, which no peer would take; b unchanged on error.  Request and number of
 * descriptors in the header are 0: frame_set_req, frame_set_nfd.
 * msg_get_NAME decodes a body: 0, or ERR_PROTO; *m is zeroed first, spans point into p.
 */
#define X(NAME, name, code, fds, dir) \
	int	msg_put_##name(struct buf *b, const struct msg_##name *m); \
	int	msg_get_##name(struct msg_##name *m, const unsigned char *p, size_t n);
MSG_MAP(X)
#undef X

const char *msg_name(unsigned type);		/* "HELLO", or NULL */
int	msg_fds(unsigned type);			/* most descriptors that may come with it; 0 for unknown types */

#endif
