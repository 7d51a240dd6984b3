use std::sync::Arc;
use std::time::Duration;

use polyport_tree::{Acl, CreateMode, Stat};
use polyport_zookeeper::codec::multi::MultiOp;
use polyport_zookeeper::codec::request::Create;
use polyport_zookeeper::codec::{ErrorCode, OpCode, Request, Response};

use super::shared::{Shared, State};
use super::watches::Registration;
use super::{ClientError, ConnectString, KeeperState, WatchedEvent, connection, validate_path};

/// What a client is started with.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Servers and chroot.
    pub connect: ConnectString,
    /// Session timeout to ask for; the server decides.
    pub session_timeout: Duration,
    /// Whether a read-only server is acceptable.
    pub read_only: bool,
    /// How long a call waits for its reply; without it, until the connection is lost.
    pub request_timeout: Option<Duration>,
    /// Forget the watches when the connection is lost instead of re-arming them.
    pub disable_auto_watch_reset: bool,
}

impl ClientOptions {
    /// Options with ZooKeeper's defaults.
    pub fn new(connect: ConnectString, session_timeout: Duration) -> Self {
        Self {
            connect,
            session_timeout,
            read_only: false,
            request_timeout: None,
            disable_auto_watch_reset: false,
        }
    }

    fn add_chroot(&self, path: &str) -> String {
        match (self.connect.chroot.as_str(), path) {
            ("", path) => path.to_owned(),
            (chroot, "/") => chroot.to_owned(),
            (chroot, path) => format!("{chroot}{path}"),
        }
    }

    pub(super) fn strip_chroot(&self, path: &str) -> String {
        let chroot = self.connect.chroot.as_str();
        match path.strip_prefix(chroot) {
            Some("") if !chroot.is_empty() => "/".to_owned(),
            Some(rest) if rest.starts_with('/') => rest.to_owned(),
            _ => path.to_owned(),
        }
    }
}

/// Which watches to remove: `Watcher.WatcherType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum WatcherType {
    Children = 1,
    Data = 2,
    Any = 3,
    Persistent = 4,
    PersistentRecursive = 5,
}

/// A znode to be created.
#[derive(Clone, Debug)]
pub struct NewNode<'a> {
    /// Path, or its beginning if the mode is sequential.
    pub path: &'a str,
    /// Data; null is not the same as empty.
    pub data: Option<&'a [u8]>,
    /// Access control list.
    pub acl: Vec<Acl>,
    /// How it is created.
    pub mode: CreateMode,
    /// Time to live in milliseconds, for the modes that have one.
    pub ttl_ms: i64,
}

const CONFIG_NODE: &str = "/zookeeper/config";
/// How long a close waits for the connection thread after the server has answered.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A session with an ensemble. Dropping it abandons the session, which then expires on the server;
/// [`Client::close`] ends it.
pub struct Client {
    shared: Arc<Shared>,
}

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// Starts a session; returns at once. `watcher` is told every event, on the connection's thread;
    /// it must not call the client.
    ///
    /// # Errors
    /// [`ClientError::IllegalArgument`] if no thread can be started.
    pub fn start(
        options: ClientOptions,
        watcher: impl Fn(&WatchedEvent) + Send + Sync + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::new(options, Box::new(watcher)));
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("zk-connection".to_owned())
            .spawn(move || connection::run(for_thread))
            .map_err(|error| ClientError::IllegalArgument(error.to_string()))?;
        Ok(Self { shared })
    }

    /// The connection's state.
    pub fn state(&self) -> State {
        self.shared.inner.lock().state
    }

    /// The session's id; 0 before the first connection.
    pub fn session_id(&self) -> i64 {
        self.shared.inner.lock().session_id
    }

    /// Waits for a connection; whether there is one.
    pub fn wait_connected(&self, timeout: Duration) -> bool {
        self.shared.wait(timeout, |inner| inner.state.is_connected() || !inner.state.is_alive());
        self.state().is_connected()
    }

    /// Waits until the first attempt to connect has succeeded or failed, or the time is over.
    pub fn wait_first_attempt(&self, timeout: Duration) {
        self.shared.wait(timeout, |inner| {
            inner.stream.is_some() || !inner.state.is_alive() || inner.failed_attempts > 0
        });
    }

    /// Ends the session and waits for it; nothing is left of its ephemeral znodes.
    pub fn close(&self) {
        // A connection that is just being made is waited for, so that the server hears of the end.
        self.wait_first_attempt(CLOSE_TIMEOUT);
        let connected = {
            let mut inner = self.shared.inner.lock();
            if inner.closing || !inner.state.is_alive() {
                return;
            }
            inner.closing = true;
            self.shared.changed.notify_all();
            inner.stream.is_some()
        };
        if connected {
            // Whether the answer or the end of the connection came, the session is over for us.
            let _ = self
                .shared
                .submit(&Request::CloseSession, None)
                .recv_timeout(self.shared.options.session_timeout);
            let mut inner = self.shared.inner.lock();
            inner.state = State::Closed;
            if let Some(stream) = &inner.stream {
                // The server may have closed it first.
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
        self.shared.wait(CLOSE_TIMEOUT, |inner| inner.finished);
        self.shared.inner.lock().state = State::Closed;
    }

    /// Adds credentials to the session. A refusal arrives as the event `AuthFailed`.
    pub fn add_auth(&self, scheme: &str, auth: Option<&[u8]>) {
        self.shared.add_auth(scheme, auth.map(<[u8]>::to_vec));
    }

    /// Creates a znode; gives its path.
    ///
    /// # Errors
    /// If the path or ACL is refused, or as the server says.
    pub fn create(&self, node: NewNode<'_>) -> Result<String> {
        let NewNode { path, data, acl, mode, ttl_ms } = node;
        // A sequential znode's name may be empty but for its number.
        if mode.is_sequential() {
            validate_path(&format!("{path}1"))?;
        } else {
            validate_path(path)?;
        }
        if acl.is_empty() {
            return Err(ClientError::bare(ErrorCode::INVALID_ACL));
        }
        let op = match mode {
            CreateMode::Container => OpCode::CreateContainer,
            mode if mode.has_ttl() => OpCode::CreateTtl,
            _ => OpCode::Create,
        };
        let server_path = self.shared.options.add_chroot(path);
        let create = Create { op, path: &server_path, data, acl, flags: mode.flag(), ttl_ms };
        match self.call(&Request::Create(create), path, None)? {
            Response::Path(created) | Response::PathStat(created, _) => {
                Ok(self.shared.options.strip_chroot(&created))
            }
            _ => Err(unexpected(path)),
        }
    }

    /// Deletes a znode of the version, -1 for any.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn delete(&self, path: &str, version: i32) -> Result<()> {
        let server_path = match path {
            // The root of a chroot is not to be deleted through it.
            "/" => path.to_owned(),
            path => self.server_path(path)?,
        };
        self.call(&Request::Delete { path: &server_path, version }, path, None).map(drop)
    }

    /// Deletes several znodes in one transaction.
    ///
    /// # Errors
    /// As the server says; then none was deleted.
    pub fn delete_all(&self, paths: &[String]) -> Result<()> {
        let paths = paths.iter().map(|path| self.server_path(path)).collect::<Result<Vec<_>>>()?;
        let ops = paths.iter().map(|path| MultiOp::Delete { path, version: -1 }).collect();
        let response =
            self.wait(self.shared.submit(&Request::Multi(ops), None)).map_err(ClientError::bare)?;
        let Response::Multi(results) = response else { return Err(unexpected("")) };
        results.into_iter().try_for_each(|result| result.map(drop).map_err(ClientError::bare))
    }

    /// The stat of a znode; `None` if there is none.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn exists(&self, path: &str, watch: bool) -> Result<Option<Stat>> {
        let server_path = self.server_path(path)?;
        let request = Request::Exists { path: &server_path, watch };
        match self.call(&request, path, watch.then(|| (Registration::Exists, server_path.clone())))
        {
            Ok(Response::Stat(stat)) => Ok(Some(stat)),
            Ok(_) => Err(unexpected(path)),
            Err(error) if error.code() == Some(ErrorCode::NO_NODE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Data and stat of a znode.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn get_data(&self, path: &str, watch: bool) -> Result<(Option<Vec<u8>>, Stat)> {
        let server_path = self.server_path(path)?;
        let request = Request::GetData { path: &server_path, watch };
        match self.call(&request, path, watch.then(|| (Registration::Data, server_path.clone())))? {
            Response::Data(data, stat) => Ok((data, stat)),
            _ => Err(unexpected(path)),
        }
    }

    /// The ensemble's configuration, which a chroot does not hide.
    ///
    /// # Errors
    /// As the server says.
    pub fn get_config(&self, watch: bool) -> Result<(Option<Vec<u8>>, Stat)> {
        let request = Request::GetData { path: CONFIG_NODE, watch };
        match self.call(
            &request,
            CONFIG_NODE,
            watch.then(|| (Registration::Data, CONFIG_NODE.to_owned())),
        )? {
            Response::Data(data, stat) => Ok((data, stat)),
            _ => Err(unexpected(CONFIG_NODE)),
        }
    }

    /// Replaces the data of a znode of the version, -1 for any.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn set_data(&self, path: &str, data: &[u8], version: i32) -> Result<Stat> {
        let server_path = self.server_path(path)?;
        let request = Request::SetData { path: &server_path, data: Some(data), version };
        self.stat_of(&request, path)
    }

    /// ACL and stat of a znode.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn get_acl(&self, path: &str) -> Result<(Vec<Acl>, Stat)> {
        let server_path = self.server_path(path)?;
        match self.call(&Request::GetAcl { path: &server_path }, path, None)? {
            Response::Acl(acl, stat) => Ok((acl, stat)),
            _ => Err(unexpected(path)),
        }
    }

    /// Replaces the ACL of a znode whose ACL has the version, -1 for any.
    ///
    /// # Errors
    /// If the path or ACL is refused, or as the server says.
    pub fn set_acl(&self, path: &str, acl: &[Acl], version: i32) -> Result<Stat> {
        let server_path = self.server_path(path)?;
        if acl.is_empty() {
            return Err(ClientError::bare(ErrorCode::INVALID_ACL));
        }
        let request = Request::SetAcl { path: &server_path, acl: acl.to_vec(), version };
        self.stat_of(&request, path)
    }

    /// Names of the children and the stat of a znode.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn get_children(&self, path: &str, watch: bool) -> Result<(Vec<String>, Stat)> {
        let server_path = self.server_path(path)?;
        let request = Request::GetChildren2 { path: &server_path, watch };
        match self.call(
            &request,
            path,
            watch.then(|| (Registration::Child, server_path.clone())),
        )? {
            Response::ChildrenStat(names, stat) => Ok((names, stat)),
            _ => Err(unexpected(path)),
        }
    }

    /// How many znodes are below a znode, at any depth.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn get_all_children_number(&self, path: &str) -> Result<i32> {
        let server_path = self.server_path(path)?;
        match self.call(&Request::GetAllChildrenNumber { path: &server_path }, path, None)? {
            Response::Count(count) => Ok(count),
            _ => Err(unexpected(path)),
        }
    }

    /// The session's ephemeral znodes whose paths begin with `prefix`.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn get_ephemerals(&self, prefix: &str) -> Result<Vec<String>> {
        let server_path = self.server_path(prefix)?;
        match self.call(&Request::GetEphemerals { prefix: &server_path }, prefix, None)? {
            Response::Children(paths) => Ok(paths),
            _ => Err(unexpected(prefix)),
        }
    }

    /// Waits until this server has caught up with the leader.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn sync(&self, path: &str) -> Result<()> {
        let server_path = self.server_path(path)?;
        self.call(&Request::Sync { path: &server_path }, path, None).map(drop)
    }

    /// Sets a persistent watch.
    ///
    /// # Errors
    /// If the path is refused, or as the server says.
    pub fn add_watch(&self, path: &str, recursive: bool) -> Result<()> {
        let server_path = self.server_path(path)?;
        let registration =
            if recursive { Registration::PersistentRecursive } else { Registration::Persistent };
        let request = Request::AddWatch { path: &server_path, mode: i32::from(recursive) };
        self.call(&request, path, Some((registration, server_path.clone()))).map(drop)
    }

    /// Removes the watches of the type; `local` forgets them even if the server cannot be asked.
    ///
    /// # Errors
    /// `NO_WATCHER` if there is none, if the path is refused, or as the server says.
    pub fn remove_watches(&self, path: &str, kind: WatcherType, local: bool) -> Result<()> {
        let server_path = self.server_path(path)?;
        let request = Request::RemoveWatches { path: &server_path, kind: kind as i32 };
        let answer = self.call(&request, path, None);
        let code =
            answer.as_ref().map_or_else(|e| e.code().unwrap_or(ErrorCode::OK), |_| ErrorCode::OK);
        let events = {
            let mut inner = self.shared.inner.lock();
            if !inner.watches.contains(kind, &server_path) {
                return Err(ClientError::keeper(ErrorCode::NO_WATCHER, path));
            }
            if !local {
                answer?;
            }
            inner.watches.remove(kind, &server_path)
        };
        let state = match code {
            ErrorCode::CONNECTION_LOSS | ErrorCode::SESSION_EXPIRED => KeeperState::Disconnected,
            _ => KeeperState::SyncConnected,
        };
        for kind in events {
            let path = Some(path.to_owned());
            self.shared.deliver(&WatchedEvent { state, kind, path, zxid: -1 });
        }
        Ok(())
    }

    /// Changes the ensemble's membership; gives the new configuration.
    ///
    /// # Errors
    /// As the server says.
    pub fn reconfig(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
        new_members: Option<&str>,
        version: i64,
    ) -> Result<(Option<Vec<u8>>, Stat)> {
        let request = Request::Reconfig { joining, leaving, new_members, version };
        // ZooKeeper's client names the empty path in this request's errors.
        match self.call(&request, "", None)? {
            Response::Data(data, stat) => Ok((data, stat)),
            _ => Err(unexpected("")),
        }
    }

    /// Who the session is: schemes and names.
    ///
    /// # Errors
    /// As the server says.
    pub fn who_am_i(&self) -> Result<Vec<(String, String)>> {
        let receiver = self.shared.submit(&Request::WhoAmI, None);
        match self.wait(receiver).map_err(ClientError::bare)? {
            Response::WhoAmI(ids) => Ok(ids),
            _ => Err(unexpected("")),
        }
    }

    fn stat_of(&self, request: &Request<'_>, path: &str) -> Result<Stat> {
        match self.call(request, path, None)? {
            Response::Stat(stat) => Ok(stat),
            _ => Err(unexpected(path)),
        }
    }

    fn server_path(&self, path: &str) -> Result<String> {
        validate_path(path)?;
        Ok(self.shared.options.add_chroot(path))
    }

    fn call(
        &self,
        request: &Request<'_>,
        path: &str,
        registration: Option<(Registration, String)>,
    ) -> Result<Response> {
        let receiver = self.shared.submit(request, registration);
        self.wait(receiver).map_err(|code| ClientError::keeper(code, path))
    }

    fn wait(
        &self,
        receiver: std::sync::mpsc::Receiver<std::result::Result<Response, ErrorCode>>,
    ) -> std::result::Result<Response, ErrorCode> {
        match self.shared.options.request_timeout {
            Some(timeout) => {
                receiver.recv_timeout(timeout).unwrap_or(Err(ErrorCode::REQUEST_TIMEOUT))
            }
            None => receiver.recv().unwrap_or(Err(ErrorCode::CONNECTION_LOSS)),
        }
    }
}

/// A reply whose shape is not that of its operation cannot come out of the decoder.
fn unexpected(path: &str) -> ClientError {
    ClientError::keeper(ErrorCode::MARSHALLING_ERROR, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chroot_is_added_and_stripped() {
        let options = |text: &str| {
            ClientOptions::new(ConnectString::parse(text).unwrap(), Duration::from_secs(1))
        };
        let chrooted = options("h/app");
        assert_eq!(chrooted.add_chroot("/"), "/app");
        assert_eq!(chrooted.add_chroot("/a"), "/app/a");
        assert_eq!(chrooted.strip_chroot("/app"), "/");
        assert_eq!(chrooted.strip_chroot("/app/a"), "/a");
        assert_eq!(chrooted.strip_chroot("/apple"), "/apple");
        let plain = options("h");
        assert_eq!(plain.add_chroot("/"), "/");
        assert_eq!(plain.strip_chroot("/"), "/");
        assert_eq!(plain.strip_chroot("/a"), "/a");
    }
}
