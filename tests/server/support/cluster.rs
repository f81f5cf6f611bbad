//! A real cluster: three primaries with a replica each, on ports of their own, for as long as a test needs it.

use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Connection, Value};

use super::replies::{ok, send, text};
use super::server::Server;
use super::{DEADLINE, command, wait_until};

/// How many shards, each of a primary and a replica.
const SHARDS: usize = 3;

/// How many slots the keys of every cluster are spread over.
const SLOTS: usize = 16384;

/// How long a node may be silent before the others call it failed, in milliseconds: far longer than a busy machine keeps
/// one waiting.
const NODE_TIMEOUT_MS: &str = "120000";

/// The same while news have to go round: the nodes speak to each other twice in that time.
const SHORT_NODE_TIMEOUT_MS: &str = "1000";

/// A cluster, whose servers are killed when this is dropped, also by a test that fails.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The primaries as the cluster began, the first with the lowest slots, and then the replica of each.
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts six servers and makes them a cluster; waits until it is complete.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let start = |_| {
            Server::builder()
                .arg("cluster-enabled", "yes")
                .arg("cluster-node-timeout", NODE_TIMEOUT_MS)
                // No replica takes over unless a test has killed its primary, however slow the machine.
                .arg("cluster-replica-no-failover", "yes")
                // Else a replica could go over to a primary that has lost its own.
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
        cluster.wait_until_whole();
        cluster
    }

    /// Connects a client that knows which node has which slot, and follows when that changes.
    #[track_caller]
    pub(crate) fn client(&self) -> ClusterConnection {
        let running = self.nodes.iter().filter(|node| node.alive());
        let client = ClusterClient::builder(running.map(|node| format!("redis://127.0.0.1:{}/", node.port())))
            // A wait of its own between tries is over a second, and grows.
            .min_retry_wait(5)
            .max_retry_wait(100)
            .retries(600)
            .connection_timeout(DEADLINE)
            .response_timeout(DEADLINE)
            .build()
            .expect("the addresses are proper");
        client.get_connection().expect("the cluster accepts clients")
    }

    /// Returns all nodes.
    pub(crate) fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Returns all nodes, for a test that ends one.
    pub(crate) fn nodes_mut(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// Kills a primary, and waits until its replica has taken over by itself.
    #[track_caller]
    pub(crate) fn kill_primary(&mut self, primary: usize, heir: usize) {
        let forbid = |heir: &Server, word: &str| {
            let line = format!("CONFIG SET cluster-replica-no-failover {word}");
            ok(&mut heir.connect(), &line);
        };
        forbid(&self.nodes[heir], "no");
        self.nodes[primary].kill_9();
        self.while_news_go_round(|| {
            wait_until("the replica takes over", || is_primary(&self.nodes[heir]));
        });
        forbid(&self.nodes[heir], "yes");
    }

    /// Lets the nodes that run speak to each other often while something goes on.
    #[track_caller]
    fn while_news_go_round(&self, goes_on: impl FnOnce()) {
        let set = |millis: &str| {
            let line = format!("CONFIG SET cluster-node-timeout {millis}");
            for node in self.nodes.iter().filter(|node| node.alive()) {
                ok(&mut node.connect(), &line);
            }
        };
        set(SHORT_NODE_TIMEOUT_MS);
        goes_on();
        set(NODE_TIMEOUT_MS);
    }

    /// Returns the number of the node that has a key's slot, as it says itself.
    #[track_caller]
    pub(crate) fn owner(&self, key: &str) -> usize {
        let owns = |node: &&Server| {
            // A node that has not got the slot, and a replica, answers with MOVED.
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

    /// Marks a slot as on its way from one node to another: keys that have gone are asked for at the other.
    #[track_caller]
    pub(crate) fn begin_move(&self, slot: i64, from: usize, to: usize) {
        let (mut source, mut target) = (self.nodes[from].connect(), self.nodes[to].connect());
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", node_id(&mut source));
        ok(&mut target, &importing);
        let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {}", node_id(&mut target));
        ok(&mut source, &migrating);
    }

    /// Moves one key of a slot that is on its way.
    #[track_caller]
    pub(crate) fn move_key(&self, key: &str, from: usize, to: usize) {
        let port = self.nodes[to].port();
        let timeout = DEADLINE.as_millis();
        let line = format!("MIGRATE 127.0.0.1 {port} {key} 0 {timeout}");
        ok(&mut self.nodes[from].connect(), &line);
    }

    /// Ends the move of a slot: it is the other node's, and every node that runs is told.
    #[track_caller]
    pub(crate) fn end_move(&self, slot: i64, to: usize) {
        let line = format!("CLUSTER SETSLOT {slot} NODE {}", node_id(&mut self.nodes[to].connect()));
        // The new owner first, as the documentation of Redis advises; replicas are told by their primaries.
        ok(&mut self.nodes[to].connect(), &line);
        for node in self.nodes.iter().filter(|node| is_primary(node)) {
            ok(&mut node.connect(), &line);
        }
    }

    /// Waits until the nodes that run agree on who replicates whom and who has which slots, serve all of these, and
    /// every replica is connected to its primary.
    ///
    /// News go round in seconds, and a primary that does not know yet that a node is its replica ignores a wish to
    /// take over.
    #[track_caller]
    pub(crate) fn wait_until_whole(&self) {
        let running: Vec<&Server> = self.nodes.iter().filter(|node| node.alive()).collect();
        self.while_news_go_round(|| {
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
        found.expect("it is one of ours")
    }
}

/// Returns the name by which the nodes of a cluster know each other.
#[track_caller]
pub(crate) fn node_id(client: &mut Connection) -> String {
    text(&command(client, &["CLUSTER", "MYID"]).expect("it is in a cluster"))
}

/// Says whether a node runs and is a primary.
pub(crate) fn is_primary(node: &Server) -> bool {
    node.alive() && node.info("role").as_deref() == Some("master")
}

/// Says whether a node answers for all slots and, if it is a replica, is connected to its primary.
#[track_caller]
fn serves(node: &Server) -> bool {
    let info = send(&mut node.connect(), "CLUSTER INFO").map(|info| text(&info));
    info.is_ok_and(|info| info.lines().any(|line| line == "cluster_state:ok"))
        && (is_primary(node) || node.info("master_link_status").as_deref() == Some("up"))
}

/// Returns what a node knows of those that it does not think failed: address, primary and slots of each.
#[track_caller]
fn view(node: &Server) -> Vec<String> {
    let nodes = send(&mut node.connect(), "CLUSTER NODES").map(|nodes| text(&nodes));
    let nodes = nodes.expect("it is in a cluster");
    let member = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let failed = fields[2].split(',').any(|flag| flag == "fail");
        // Those in brackets, on their way, are known only to the two nodes that they concern.
        let slots = fields[8..].iter().filter(|slots| !slots.starts_with('['));
        let slots: Vec<&str> = slots.copied().collect();
        (!failed).then(|| format!("{} {} {}", fields[1], fields[3], slots.join(" ")))
    };
    let mut members: Vec<String> = nodes.lines().filter_map(member).collect();
    members.sort();
    members
}
