//! A real cluster: three primaries with one replica each, started and stopped by a test.

use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Connection, Value};

use super::replies::{ok, send, text};
use super::server::Server;
use super::{DEADLINE, command, wait_until};

/// Number of shards. Each has a primary and a replica.
const SHARDS: usize = 3;

/// Number of hash slots in every cluster.
const SLOTS: usize = 16384;

/// Milliseconds without an answer after which the other nodes mark a node as failed. Far longer than any pause of a
/// slow machine.
const NODE_TIMEOUT_MS: &str = "120000";

/// A short node timeout, for fast gossip: nodes ping each other at least twice within it.
const SHORT_NODE_TIMEOUT_MS: &str = "1000";

/// A running cluster. Dropping it kills its servers, also when a test fails.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The initial primaries in the order of their slots, then the replica of each.
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts six servers, joins them to a cluster, and waits until all nodes agree on it.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let start = |_| {
            Server::builder()
                .arg("cluster-enabled", "yes")
                .arg("cluster-node-timeout", NODE_TIMEOUT_MS)
                // No automatic failover on a slow machine: only a test that kills a primary enables it.
                .arg("cluster-replica-no-failover", "yes")
                // Otherwise a replica could move to a primary that has lost its replica.
                .arg("cluster-allow-replica-migration", "no")
                .start()
        };
        let nodes: Vec<Server> = (0..2 * SHARDS).map(start).collect();
        let cluster = Self { nodes };
        for (number, node) in cluster.nodes.iter().enumerate() {
            let mut client = node.connect();
            ok(&mut client, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
            for other in &cluster.nodes[..number] {
                ok(&mut client, &format!("CLUSTER MEET 127.0.0.1 {}", other.port()));
            }
        }
        for shard in 0..SHARDS {
            let (first, next) = (shard * SLOTS / SHARDS, (shard + 1) * SLOTS / SHARDS);
            let mut primary = cluster.nodes[shard].connect();
            ok(&mut primary, &format!("CLUSTER ADDSLOTSRANGE {first} {}", next - 1));
            let line = format!("CLUSTER REPLICATE {}", node_id(&mut primary));
            let mut replica = cluster.nodes[SHARDS + shard].connect();
            wait_until("the replica knows its primary", || send(&mut replica, &line) == Ok(Value::Okay));
        }
        cluster.wait_until_stable();
        cluster
    }

    /// Connects a cluster client: it knows which node has which slot, and follows redirects.
    #[track_caller]
    pub(crate) fn client(&self) -> ClusterConnection {
        let running = self.nodes.iter().filter(|node| node.alive());
        let client = ClusterClient::builder(running.map(|node| format!("redis://127.0.0.1:{}/", node.port())))
            // The client's default wait between retries is over a second, and grows.
            .min_retry_wait(5)
            .max_retry_wait(100)
            .retries(600)
            .connection_timeout(DEADLINE)
            .response_timeout(DEADLINE)
            .build()
            .expect("the addresses are valid");
        client.get_connection().expect("the cluster accepts clients")
    }

    /// Returns all nodes.
    pub(crate) fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Returns all nodes, for a test that kills one.
    pub(crate) fn nodes_mut(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// Kills a primary, and waits until its replica has been promoted by an automatic failover.
    #[track_caller]
    pub(crate) fn kill_primary(&mut self, primary: usize, replica: usize) {
        let set_no_failover = |replica: &Server, word: &str| {
            let line = format!("CONFIG SET cluster-replica-no-failover {word}");
            ok(&mut replica.connect(), &line);
        };
        set_no_failover(&self.nodes[replica], "no");
        self.nodes[primary].kill_9();
        self.with_fast_gossip(|| {
            wait_until("the replica takes over", || is_primary(&self.nodes[replica]));
        });
        set_no_failover(&self.nodes[replica], "yes");
    }

    /// Calls a function while the running nodes gossip often.
    #[track_caller]
    fn with_fast_gossip(&self, action: impl FnOnce()) {
        let set = |millis: &str| {
            let line = format!("CONFIG SET cluster-node-timeout {millis}");
            for node in self.nodes.iter().filter(|node| node.alive()) {
                ok(&mut node.connect(), &line);
            }
        };
        set(SHORT_NODE_TIMEOUT_MS);
        action();
        set(NODE_TIMEOUT_MS);
    }

    /// Returns the number of the node that serves a key's slot, as the node itself reports.
    #[track_caller]
    pub(crate) fn owner(&self, key: &str) -> usize {
        let owns = |node: &&Server| {
            // Replicas and nodes without the slot answer with MOVED.
            node.alive() && send(&mut node.connect(), &format!("TYPE {key}")).is_ok()
        };
        let mut owners = self.nodes.iter().filter(owns);
        let owner = owners.next().expect("the slot has an owner");
        assert!(owners.next().is_none(), "{key} has two owners");
        self.number(owner)
    }

    /// Returns the number of the node that replicates another.
    #[track_caller]
    pub(crate) fn replica_of(&self, primary: usize) -> usize {
        let port = self.nodes[primary].port().to_string();
        let replicates = |node: &&Server| node.alive() && node.info("master_port").as_deref() == Some(port.as_str());
        let replica = self.nodes.iter().find(replicates);
        self.number(replica.expect("every primary has a replica"))
    }

    /// Returns a key's slot.
    #[track_caller]
    pub(crate) fn slot(&self, key: &str) -> i64 {
        match send(&mut self.nodes[0].connect(), &format!("CLUSTER KEYSLOT {key}")) {
            Ok(Value::Int(slot)) => slot,
            other => panic!("CLUSTER KEYSLOT {key}: {other:?}"),
        }
    }

    /// Marks a slot as migrating: for keys that have moved, the source answers with ASK.
    #[track_caller]
    pub(crate) fn begin_move(&self, slot: i64, from: usize, to: usize) {
        let (mut source, mut target) = (self.nodes[from].connect(), self.nodes[to].connect());
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", node_id(&mut source));
        ok(&mut target, &importing);
        let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {}", node_id(&mut target));
        ok(&mut source, &migrating);
    }

    /// Moves one key of a migrating slot.
    #[track_caller]
    pub(crate) fn move_key(&self, key: &str, from: usize, to: usize) {
        let port = self.nodes[to].port();
        let timeout = DEADLINE.as_millis();
        let line = format!("MIGRATE 127.0.0.1 {port} {key} 0 {timeout}");
        ok(&mut self.nodes[from].connect(), &line);
    }

    /// Completes the migration of a slot: assigns it to the target on every running primary.
    #[track_caller]
    pub(crate) fn end_move(&self, slot: i64, to: usize) {
        let line = format!("CLUSTER SETSLOT {slot} NODE {}", node_id(&mut self.nodes[to].connect()));
        // The new owner first, as the documentation of Redis advises. Replicas learn it from their primaries.
        ok(&mut self.nodes[to].connect(), &line);
        for node in self.nodes.iter().filter(|node| is_primary(node)) {
            ok(&mut node.connect(), &line);
        }
    }

    /// Waits until the running nodes agree on all replicas and slots, serve every slot, and every replica is connected
    /// to its primary.
    ///
    /// Gossip takes seconds. A primary that does not know yet that a node is its replica ignores that node's request
    /// for a failover.
    #[track_caller]
    pub(crate) fn wait_until_stable(&self) {
        let running: Vec<&Server> = self.nodes.iter().filter(|node| node.alive()).collect();
        self.with_fast_gossip(|| {
            wait_until("the nodes agree", || {
                let views: Vec<Vec<String>> = running.iter().map(|node| view(node)).collect();
                views.iter().all(|view| *view == views[0])
                    && views[0].len() == running.len()
                    && running.iter().all(|node| serves(node))
            });
        });
    }

    /// Returns a node's number.
    fn number(&self, node: &Server) -> usize {
        let found = self.nodes.iter().position(|other| other.port() == node.port());
        found.expect("the node belongs to this cluster")
    }
}

/// Returns a node's ID in the cluster.
#[track_caller]
pub(crate) fn node_id(client: &mut Connection) -> String {
    text(&command(client, &["CLUSTER", "MYID"]).expect("the node is in a cluster"))
}

/// Returns whether a node is running and is a primary.
pub(crate) fn is_primary(node: &Server) -> bool {
    node.alive() && node.info("role").as_deref() == Some("master")
}

/// Returns whether a node sees all slots served and, if it is a replica, is connected to its primary.
#[track_caller]
fn serves(node: &Server) -> bool {
    let info = send(&mut node.connect(), "CLUSTER INFO").map(|info| text(&info));
    info.is_ok_and(|info| info.lines().any(|line| line == "cluster_state:ok"))
        && (is_primary(node) || node.info("master_link_status").as_deref() == Some("up"))
}

/// Returns a node's view of the nodes that have not failed: address, primary and slots of each.
#[track_caller]
fn view(node: &Server) -> Vec<String> {
    let nodes = send(&mut node.connect(), "CLUSTER NODES").map(|nodes| text(&nodes));
    let nodes = nodes.expect("the node is in a cluster");
    let member = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let failed = fields[2].split(',').any(|flag| flag == "fail");
        // Slots in brackets are migrating. Only the source and the target know them.
        let slots = fields[8..].iter().filter(|slots| !slots.starts_with('['));
        let slots: Vec<&str> = slots.copied().collect();
        (!failed).then(|| format!("{} {} {}", fields[1], fields[3], slots.join(" ")))
    };
    let mut members: Vec<String> = nodes.lines().filter_map(member).collect();
    members.sort();
    members
}
