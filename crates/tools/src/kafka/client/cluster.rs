//! The cluster as a client sees it: who is there, who is asked, and what is asked again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use polyport_kafka_codec::Request;
use polyport_kafka_codec::messages::metadata_request::MetadataRequestTopic;
use polyport_kafka_codec::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse,
};

use super::connection::Unreachable;
use super::{ClientConfig, ClientError, Connection, Node, Result, is_interrupted};
use crate::kafka::log::{Level, log};
use crate::platform;
use crate::zk_cli::Console;

const NETWORK_CLIENT: &str = "org.apache.kafka.clients.NetworkClient";
/// How long at most to wait between two attempts to connect.
const MAX_RECONNECT_BACKOFF: Duration = Duration::from_secs(1);
/// Metadata versions of Kafka 3.9; newer ones of the codec would be named in other messages.
const METADATA: i16 = 12;
const BATCHED_COORDINATORS: i16 = 4;
/// The newest FindCoordinator whose answers mean the same as those of 3.0.
const FIND_COORDINATOR: i16 = 5;

const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
const NOT_CONTROLLER: i16 = 41;

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coordinator {
    /// A group's members and offsets.
    Group,
    /// A transactional producer.
    Transaction,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Any broker.
    Any,
    /// The one with this id.
    Node(i32),
    /// The active controller.
    Controller,
    /// The coordinator of a group or transactional id.
    Coordinator(Coordinator, String),
}

/// How a call is made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who is asked.
    pub to: To,
    /// What a timeout calls it: `createTopics`.
    pub name: &'static str,
    /// No newer version is used.
    pub most: i16,
    /// How long it may take; that of the settings if not said.
    pub timeout: Option<Duration>,
    /// The broker may take all that time for an answer.
    pub patient: bool,
}

impl Call {
    /// A call to somebody, in any version.
    pub fn new(to: To, name: &'static str) -> Self {
        Self { to, name, most: i16::MAX, timeout: None, patient: false }
    }

    /// With no newer version.
    #[must_use]
    pub fn up_to(self, most: i16) -> Self {
        Self { most, ..self }
    }

    /// That the broker may take all the time for an answer.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { patient: true, ..self }
    }

    /// With a time of its own.
    #[must_use]
    pub fn within(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }
}

/// A client of one cluster.
pub struct Client<'a> {
    /// Its settings.
    pub config: ClientConfig,
    /// Where warnings go.
    pub console: &'a Console,
    /// Whether its calls end when the user asks for an end.
    pub heed_interrupts: bool,
    /// The brokers, as of the last metadata.
    pub nodes: BTreeMap<i32, Node>,
    /// The controller, as of the last metadata.
    pub controller: Option<i32>,
    bootstrap: Option<Connection>,
    connections: HashMap<i32, Connection>,
    coordinators: HashMap<(Coordinator, String), i32>,
}

impl<'a> Client<'a> {
    /// A client; it connects when it is first used.
    pub fn new(config: ClientConfig, console: &'a Console) -> Self {
        Self {
            config,
            console,
            heed_interrupts: false,
            nodes: BTreeMap::new(),
            controller: None,
            bootstrap: None,
            connections: HashMap::new(),
            coordinators: HashMap::new(),
        }
    }

    fn warn(&self, message: &str) {
        let message = format!("{}{message}", self.config.log_prefix);
        log(self.console, Level::Warn, &message, NETWORK_CLIENT);
    }

    /// Asks, and asks again while the connection breaks or somebody else is to be asked, until the
    /// call's time is over. `code` finds the error code that says so in the answer.
    ///
    /// # Errors
    /// The last one.
    pub fn call<R: Request>(
        &mut self,
        call: &Call,
        make: impl Fn(i16) -> R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response> {
        let timeout = call.timeout.unwrap_or(self.config.api_timeout);
        let deadline = Instant::now() + timeout;
        loop {
            let failed = match self.attempt(call, deadline, &make) {
                Ok(response) => {
                    let code = code(&response);
                    if !elsewhere(code) || Instant::now() >= deadline {
                        return Ok(response);
                    }
                    self.forget_route(&call.to);
                    ClientError::of(code, None).unwrap_or(ClientError::Disconnected)
                }
                Err(error @ (ClientError::Disconnected | ClientError::Broker { .. }))
                    if error.is_retriable() =>
                {
                    self.forget(&call.to);
                    error
                }
                Err(error) => {
                    self.forget(&call.to);
                    return Err(error);
                }
            };
            self.pause_before_retry()?;
            if Instant::now() >= deadline {
                return Err(match failed {
                    ClientError::Disconnected => ClientError::Timeout(format!(
                        "Timed out waiting for a node assignment. Call: {}",
                        call.name
                    )),
                    other => other,
                });
            }
        }
    }

    fn attempt<R: Request>(
        &mut self,
        call: &Call,
        deadline: Instant,
        make: impl Fn(i16) -> R,
    ) -> Result<R::Response> {
        let most = call.most;
        let request_deadline = match call.patient {
            true => deadline,
            false => deadline.min(Instant::now() + self.config.request_timeout),
        };
        let name = call.name;
        let connection = self.connection(&call.to, name, deadline)?;
        connection.call(most, request_deadline, make).map_err(|error| match error {
            ClientError::Timeout(_) => {
                ClientError::Timeout(format!("Call(callName={name}) timed out after 1 attempt(s)"))
            }
            other => other,
        })
    }

    /// A connection to somebody, made if there is none.
    ///
    /// # Errors
    /// If nobody can be reached before the deadline.
    pub fn connection(
        &mut self,
        to: &To,
        name: &str,
        deadline: Instant,
    ) -> Result<&mut Connection> {
        let id = match to {
            To::Any => match self.connections.keys().next() {
                Some(id) => *id,
                None => return self.bootstrap(name, deadline),
            },
            To::Node(id) => *id,
            To::Controller => self.controller_id(deadline)?,
            To::Coordinator(kind, key) => self.coordinator_id(*kind, key, deadline)?,
        };
        if !self.connections.contains_key(&id) {
            let connection = self.connect_to_node(id, deadline)?;
            self.connections.insert(id, connection);
        }
        self.connections.get_mut(&id).ok_or(ClientError::Disconnected)
    }

    fn connect_to_node(&mut self, id: i32, deadline: Instant) -> Result<Connection> {
        if !self.nodes.contains_key(&id) {
            self.refresh_nodes(deadline)?;
        }
        let node = self.nodes.get(&id).cloned().ok_or(ClientError::Disconnected)?;
        self.connect(&node.host, node.port, id)
    }

    fn connect(&mut self, host: &str, port: u16, id: i32) -> Result<Connection> {
        let opened = Connection::open(host, port, &self.config, self.heed_interrupts);
        opened.map_err(|Unreachable { address, error }| {
            if matches!(error, ClientError::Disconnected) {
                self.warn(&format!(
                    "Connection to node {id} ({address}) could not be established. Node may not be \
                     available."
                ));
            }
            error
        })
    }

    /// A connection to one of the addresses that the settings name, or to a broker known since.
    fn bootstrap(&mut self, name: &str, deadline: Instant) -> Result<&mut Connection> {
        let mut backoff = self.config.retry_backoff;
        while self.bootstrap.is_none() {
            let addresses = self.config.bootstrap.clone();
            for (at, (host, port)) in addresses.iter().enumerate() {
                let id = -1 - i32::try_from(at).unwrap_or_default();
                match self.connect(host, *port, id) {
                    Ok(connection) => {
                        self.bootstrap = Some(connection);
                        break;
                    }
                    Err(ClientError::Disconnected) => self.warn(&format!(
                        "Bootstrap broker {host}:{port} (id: {id} rack: null) disconnected"
                    )),
                    Err(error) => return Err(error),
                }
            }
            if self.bootstrap.is_none() {
                if Instant::now() + backoff >= deadline {
                    return Err(ClientError::Timeout(format!(
                        "Timed out waiting for a node assignment. Call: {name}"
                    )));
                }
                self.pause(backoff)?;
                backoff = (backoff * 2).min(MAX_RECONNECT_BACKOFF);
            }
        }
        self.bootstrap.as_mut().ok_or(ClientError::Disconnected)
    }

    fn pause_before_retry(&self) -> Result<()> {
        self.pause(self.config.retry_backoff)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// `Interrupted`, if the user asks for an end meanwhile and the client heeds it.
    pub fn pause(&self, duration: Duration) -> Result<()> {
        const SLICE: Duration = Duration::from_millis(50);
        let end = Instant::now() + duration;
        loop {
            if self.heed_interrupts && is_interrupted() {
                return Err(ClientError::Interrupted);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            platform::pause(left.min(SLICE));
        }
    }

    /// From now on, whether calls end when the user asks for an end.
    pub fn set_heed_interrupts(&mut self, heed: bool) {
        self.heed_interrupts = heed;
        let all = self.connections.values_mut().chain(self.bootstrap.as_mut());
        all.for_each(|connection| connection.heed_interrupts = heed);
    }

    /// Drops the connection to somebody, and what is known of the way there.
    pub fn forget(&mut self, to: &To) {
        match to {
            To::Any => {
                self.bootstrap = None;
                self.connections.clear();
            }
            To::Node(id) => {
                self.connections.remove(id);
            }
            To::Controller => {
                if let Some(id) = self.controller {
                    self.connections.remove(&id);
                }
            }
            To::Coordinator(kind, key) => {
                if let Some(id) = self.coordinators.get(&(*kind, key.clone())) {
                    self.connections.remove(id);
                }
            }
        }
        self.forget_route(to);
    }

    fn forget_route(&mut self, to: &To) {
        match to {
            To::Any | To::Node(_) => {}
            To::Controller => self.controller = None,
            To::Coordinator(kind, key) => {
                self.coordinators.remove(&(*kind, key.clone()));
            }
        }
    }

    fn controller_id(&mut self, deadline: Instant) -> Result<i32> {
        if self.controller.is_none() {
            self.refresh_nodes(deadline)?;
        }
        self.controller.ok_or(ClientError::Disconnected)
    }

    /// The id of a coordinator, asked for if it is not known.
    ///
    /// # Errors
    /// If there is none yet, which is worth another try, or access is refused.
    pub fn coordinator_id(
        &mut self,
        kind: Coordinator,
        key: &str,
        deadline: Instant,
    ) -> Result<i32> {
        if let Some(id) = self.coordinators.get(&(kind, key.to_owned())) {
            return Ok(*id);
        }
        let key_type = match kind {
            Coordinator::Group => 0,
            Coordinator::Transaction => 1,
        };
        let make = |version| match version {
            BATCHED_COORDINATORS.. => FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec![key.to_owned()],
                ..FindCoordinatorRequest::default()
            },
            _ => FindCoordinatorRequest {
                key: key.to_owned(),
                key_type,
                ..FindCoordinatorRequest::default()
            },
        };
        let request_deadline = deadline.min(Instant::now() + self.config.request_timeout);
        let connection = self.connection(&To::Any, "findCoordinator", deadline)?;
        let found = connection.call(FIND_COORDINATOR, request_deadline, make);
        let found = match found {
            Ok(found) => coordinator_of(found)?,
            Err(error) => {
                self.forget(&To::Any);
                return Err(error);
            }
        };
        self.coordinators.insert((kind, key.to_owned()), found.id);
        let id = found.id;
        self.nodes.insert(id, found);
        Ok(id)
    }

    /// Asks who is there.
    fn refresh_nodes(&mut self, deadline: Instant) -> Result<()> {
        let connection = self.connection(&To::Any, "listNodes", deadline)?;
        let request_deadline = deadline;
        let asked = connection.call(METADATA, request_deadline, |version| MetadataRequest {
            // No topics: null in version 0 would mean all of them.
            topics: (version > 0).then(Vec::new).or(Some(Vec::new())),
            allow_auto_topic_creation: version < 4,
            ..MetadataRequest::default()
        });
        match asked {
            Ok(response) => {
                self.learn(&response);
                Ok(())
            }
            Err(error) => {
                self.forget(&To::Any);
                Err(error)
            }
        }
    }

    /// The brokers and the topics, all of them if none are named.
    ///
    /// # Errors
    /// If nobody answers; topics have errors of their own.
    pub fn metadata(
        &mut self,
        topics: Option<&[String]>,
        create: bool,
        name: &'static str,
        timeout: Option<Duration>,
    ) -> Result<MetadataResponse> {
        let call = Call::new(To::Any, name).up_to(METADATA).within(timeout);
        let make = |version| {
            let topic = |name: &String| MetadataRequestTopic {
                name: Some(name.clone()),
                ..MetadataRequestTopic::default()
            };
            let all = (version == 0).then(Vec::new);
            MetadataRequest {
                topics: topics.map(|topics| topics.iter().map(topic).collect()).or(all),
                allow_auto_topic_creation: create || version < 4,
                ..MetadataRequest::default()
            }
        };
        let response = self.call(&call, make, |_| 0)?;
        self.learn(&response);
        Ok(response)
    }

    fn learn(&mut self, response: &MetadataResponse) {
        let nodes = response.brokers.iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            let (host, rack) = (broker.host.clone(), broker.rack.clone());
            Some((broker.node_id, Node { id: broker.node_id, host, port, rack }))
        });
        let nodes: BTreeMap<_, _> = nodes.collect();
        let same = |id: &i32| nodes.get(id) == self.nodes.get(id);
        self.connections.retain(|id, _| same(id));
        self.controller = Some(response.controller_id).filter(|id| nodes.contains_key(id));
        self.nodes = nodes;
    }
}

/// Whether an error says that somebody else is to be asked, or the same one later.
fn elsewhere(code: i16) -> bool {
    let codes =
        [COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, NOT_CONTROLLER];
    codes.contains(&code)
}

fn coordinator_of(response: FindCoordinatorResponse) -> Result<Node> {
    let (code, message, id, host, port) = match response.coordinators.into_iter().next() {
        Some(it) => (it.error_code, it.error_message, it.node_id, it.host, it.port),
        None => (
            response.error_code,
            response.error_message,
            response.node_id,
            response.host,
            response.port,
        ),
    };
    ClientError::check(code, message)?;
    let port = u16::try_from(port).map_err(|_| ClientError::Disconnected)?;
    Ok(Node { id, host, port, rack: None })
}
