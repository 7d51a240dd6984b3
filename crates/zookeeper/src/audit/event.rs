//! What a line says, and of which requests there is one.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use polyport_tree::machine::Outcome as Done;
use polyport_tree::{Acl, CreateMode, Perms, TreeError};

use super::Audit;
use crate::auth::Identities;
use crate::codec::Request;
use crate::codec::multi::MultiOp;
use crate::codec::request::Create;
use crate::observe::date;

/// The word that ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Invoked,
}

/// A line. What is not there is left out.
#[derive(Clone, Debug)]
pub(super) struct Event<'a> {
    pub(super) session: Option<i64>,
    pub(super) user: Option<&'a str>,
    pub(super) ip: Option<IpAddr>,
    pub(super) operation: &'static str,
    pub(super) znode: Option<&'a str>,
    pub(super) znode_type: Option<&'static str>,
    pub(super) acl: Option<&'a str>,
    pub(super) outcome: Outcome,
}

impl Event<'_> {
    pub(super) fn new(operation: &'static str, outcome: Outcome) -> Self {
        Self {
            session: None,
            user: None,
            ip: None,
            operation,
            znode: None,
            znode_type: None,
            acl: None,
            outcome,
        }
    }

    /// Time and level, then the fields in ZooKeeper's order.
    pub(super) fn line(&self, at: SystemTime) -> String {
        let (level, outcome) = match self.outcome {
            Outcome::Success => ("INFO", "success"),
            Outcome::Failure => ("ERROR", "failure"),
            Outcome::Invoked => ("INFO", "invoked"),
        };
        let mut line = format!("{} {level} {LOGGER}: ", date::logged(at));
        // Writing to a string cannot fail.
        if let Some(session) = self.session {
            let _ = write!(line, "session=0x{session:x}\t");
        }
        if let Some(user) = self.user {
            let _ = write!(line, "user={}\t", Printable(user));
        }
        if let Some(ip) = self.ip {
            let _ = write!(line, "ip={}\t", ip.to_canonical());
        }
        let _ = write!(line, "operation={}\t", self.operation);
        if let Some(znode) = self.znode {
            let _ = write!(line, "znode={}\t", Printable(znode));
        }
        if let Some(znode_type) = self.znode_type {
            let _ = write!(line, "znode_type={znode_type}\t");
        }
        if let Some(acl) = self.acl {
            let _ = write!(line, "acl={}\t", Printable(acl));
        }
        let _ = writeln!(line, "result={outcome}");
        line
    }
}

/// The logger, as the configuration that ZooKeeper ships prints its name.
const LOGGER: &str = "o.a.z.a.Slf4jAuditLogger";

/// Text of a client's, without the characters that would let it end a field or a line: a name must
/// not be able to forge what the log says. ZooKeeper lets it.
struct Printable<'a>(&'a str);

impl std::fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(char::is_control) {
            f.write_str(&rest[..at])?;
            let control = rest[at..].chars().next().unwrap_or_default();
            write!(f, "\\u{:04x}", u32::from(control))?;
            rest = &rest[at + control.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// ZooKeeper's names of the modes, in small letters.
fn znode_type(mode: CreateMode) -> &'static str {
    match mode {
        CreateMode::Persistent => "persistent",
        CreateMode::Ephemeral => "ephemeral",
        CreateMode::PersistentSequential => "persistent_sequential",
        CreateMode::EphemeralSequential => "ephemeral_sequential",
        CreateMode::Container => "container",
        CreateMode::PersistentWithTtl => "persistent_with_ttl",
        CreateMode::PersistentSequentialWithTtl => "persistent_sequential_with_ttl",
    }
}

/// `scheme:id:perms` of each entry, one after the other with nothing between, as there.
fn acl_text(acl: &[Acl]) -> String {
    const LETTERS: [(Perms, char); 5] = [
        (Perms::CREATE, 'c'),
        (Perms::DELETE, 'd'),
        (Perms::READ, 'r'),
        (Perms::WRITE, 'w'),
        (Perms::ADMIN, 'a'),
    ];
    let mut text = String::new();
    for Acl { perms, id } in acl {
        let _ = write!(text, "{}:{}:", id.scheme, id.id);
        let has = |(perm, _): &&(Perms, char)| perms.intersects(*perm);
        text.extend(LETTERS.iter().filter(has).map(|(_, letter)| letter));
    }
    text
}

/// Who asked.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) session: i64,
    pub(crate) ip: IpAddr,
    pub(crate) who: Arc<Identities>,
}

impl Asker {
    /// Users of all schemes but the super user's, which has no provider; none is told as nothing.
    fn users(&self) -> Option<String> {
        let user = |id: &polyport_tree::Id| match id.scheme.as_str() {
            "digest" => Some(id.id.split(':').next().unwrap_or_default().to_owned()),
            "ip" | "sasl" | "x509" => Some(id.id.clone()),
            _ => None,
        };
        let users = self.who.ids().iter().filter_map(user);
        let users: Vec<String> = users.filter(|user| !user.trim().is_empty()).collect();
        (!users.is_empty()).then(|| users.join(","))
    }
}

/// What was asked for, as far as a line tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create { path: String, mode: CreateMode },
    Delete { path: String },
    SetData { path: String },
    SetAcl { path: String, acl: String },
    Multi(Vec<Option<Operation>>),
    Reconfig,
}

impl Operation {
    /// None of what is not audited: reads, checks, sync, and creations of no known mode.
    pub(crate) fn of(request: &Request<'_>) -> Option<Self> {
        Some(match request {
            Request::Create(asked) => Self::created(asked)?,
            Request::Delete { path, .. } => Self::Delete { path: (*path).to_owned() },
            Request::SetData { path, .. } => Self::SetData { path: (*path).to_owned() },
            Request::SetAcl { path, acl, .. } => {
                Self::SetAcl { path: (*path).to_owned(), acl: acl_text(acl) }
            }
            Request::Multi(ops) => Self::Multi(ops.iter().map(Self::part).collect()),
            Request::Reconfig { .. } => Self::Reconfig,
            _ => return None,
        })
    }

    fn created(asked: &Create<'_>) -> Option<Self> {
        let mode = CreateMode::from_flag(asked.flags)?;
        Some(Self::Create { path: asked.path.to_owned(), mode })
    }

    fn part(op: &MultiOp<'_>) -> Option<Self> {
        match op {
            MultiOp::Create(asked) => Self::created(asked),
            MultiOp::Delete { path, .. } => Some(Self::Delete { path: (*path).to_owned() }),
            MultiOp::SetData { path, .. } => Some(Self::SetData { path: (*path).to_owned() }),
            MultiOp::Check { .. } => None,
        }
    }
}

/// A request whose line is written when it has its answer.
#[derive(Debug)]
pub(crate) struct Pending {
    audit: Audit,
    asker: Asker,
    operation: Operation,
}

impl Pending {
    pub(crate) fn new(audit: Audit, asker: Asker, operation: Operation) -> Self {
        Self { audit, asker, operation }
    }

    /// It was refused.
    pub(crate) fn failed(&self) {
        self.log(&self.operation, None, Outcome::Failure);
    }

    /// A reconfiguration was made.
    pub(crate) fn succeeded(&self) {
        self.log(&self.operation, None, Outcome::Success);
    }

    /// What the tree made of it.
    pub(crate) fn done(&self, result: &Result<Done<'_>, TreeError>) {
        match (result, &self.operation) {
            (Ok(Done::Multi(results)), Operation::Multi(parts)) => {
                if results.iter().any(Result::is_err) {
                    return self.log(&self.operation, None, Outcome::Failure);
                }
                for (part, result) in parts.iter().zip(results) {
                    if let (Some(part), Ok(done)) = (part, result) {
                        self.part(part, done);
                    }
                }
            }
            (Ok(Done::Created(path, _)), operation) => {
                self.log(operation, Some(path), Outcome::Success);
            }
            (Ok(_), operation) => self.log(operation, None, Outcome::Success),
            (Err(_), operation) => self.log(operation, None, Outcome::Failure),
        }
    }

    /// ZooKeeper looks a part's type up by the path that was asked for, and not for times to live.
    fn part(&self, part: &Operation, done: &Done<'_>) {
        match (part, done) {
            (Operation::Create { mode, .. }, Done::Created(made, _))
                if mode.is_sequential() || mode.has_ttl() =>
            {
                let untyped = Event { znode: Some(made), ..Event::new("create", Outcome::Success) };
                self.by_asker(untyped);
            }
            (Operation::Create { .. }, Done::Created(made, _)) => {
                self.log(part, Some(made), Outcome::Success);
            }
            _ => self.log(part, None, Outcome::Success),
        }
    }

    /// `made`: the path of what was created, if that is another than was asked for.
    fn log(&self, operation: &Operation, made: Option<&str>, outcome: Outcome) {
        let event = match operation {
            Operation::Create { path, mode } => Event {
                znode: Some(made.unwrap_or(path)),
                znode_type: Some(znode_type(*mode)),
                ..Event::new("create", outcome)
            },
            Operation::Delete { path } => {
                Event { znode: Some(path), ..Event::new("delete", outcome) }
            }
            Operation::SetData { path } => {
                Event { znode: Some(path), ..Event::new("setData", outcome) }
            }
            Operation::SetAcl { path, acl } => {
                Event { znode: Some(path), acl: Some(acl), ..Event::new("setAcl", outcome) }
            }
            Operation::Multi(_) => Event::new("multiOperation", outcome),
            Operation::Reconfig => Event {
                znode: (outcome == Outcome::Success).then_some("/zookeeper/config"),
                ..Event::new("reconfig", outcome)
            },
        };
        self.by_asker(event);
    }

    fn by_asker(&self, event: Event<'_>) {
        let (session, ip) = (Some(self.asker.session), Some(self.asker.ip));
        let users = self.asker.users();
        self.audit.log(&Event { session, ip, user: users.as_deref(), ..event });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyport_tree::Id;

    #[test]
    fn a_line_has_zookeepers_fields_in_its_order() {
        let event = Event {
            session: Some(0x1234),
            user: Some("bob,127.0.0.1"),
            ip: Some([127, 0, 0, 1].into()),
            znode: Some("/a"),
            znode_type: Some(znode_type(CreateMode::EphemeralSequential)),
            acl: Some("world:anyone:r"),
            ..Event::new("create", Outcome::Failure)
        };
        let expected = "1970-01-01 00:00:00,000 ERROR o.a.z.a.Slf4jAuditLogger: session=0x1234\t\
            user=bob,127.0.0.1\tip=127.0.0.1\toperation=create\tznode=/a\t\
            znode_type=ephemeral_sequential\tacl=world:anyone:r\tresult=failure\n";
        assert_eq!(event.line(SystemTime::UNIX_EPOCH), expected);
    }

    #[test]
    fn a_name_cannot_end_its_line() {
        let user = "eve\tresult=success\nsession=0x1";
        let event = Event { user: Some(user), ..Event::new("create", Outcome::Failure) };
        let line = event.line(SystemTime::UNIX_EPOCH);
        assert!(
            line.contains("user=eve\\u0009result=success\\u000asession=0x1\toperation"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn users_are_named_without_their_proof() {
        let mut who = Identities::at([10, 0, 0, 7].into(), false);
        who.add(Id::new("super", "")).unwrap();
        who.add(Id::new("digest", "bob:hash")).unwrap();
        who.add(Id::new("sasl", "carol")).unwrap();
        let asker = Asker { session: 1, ip: [10, 0, 0, 7].into(), who: Arc::new(who) };
        assert_eq!(asker.users().as_deref(), Some("10.0.0.7,bob,carol"));
    }
}
