//! Judging who asks for what.

use std::net::IpAddr;

use polyport_tree::client::Client;

use super::Caller;
use super::acl::{Lists, Operation, Policy, Request, ResourceKind, Rules};

/// Judges by the lists in the tree.
pub struct Access {
    policy: Policy,
    lists: Lists,
}

impl Access {
    /// Follows the lists from here on.
    pub fn new(policy: Policy, client: &Client) -> Self {
        Self { policy, lists: Lists::follow(client) }
    }

    /// The lists.
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// Whether a caller may do something to a resource. Brokers may do everything.
    pub fn allows(
        &self,
        (caller, host): (&Caller, &str),
        operation: Operation,
        resource: ResourceKind,
        name: &str,
    ) -> bool {
        let allowed = self.judge((caller, host), |rules, request| {
            rules.allows(&self.policy, request, operation, resource, name)
        });
        if !allowed {
            let (principal, resource) = (caller.principal(), resource.name());
            tracing::debug!(%principal, host, ?operation, resource, name, "denied");
        }
        allowed
    }

    /// Whether there is a resource of that kind that a caller may do something to.
    pub fn allows_any(
        &self,
        caller: (&Caller, &str),
        operation: Operation,
        resource: ResourceKind,
    ) -> bool {
        self.judge(caller, |rules, request| {
            rules.allows_any(&self.policy, request, operation, resource)
        })
    }

    fn judge(
        &self,
        (caller, host): (&Caller, &str),
        judge: impl FnOnce(&Rules, Request<'_>) -> bool,
    ) -> bool {
        match caller {
            Caller::Broker => true,
            Caller::Client(principal) => {
                judge(&self.lists.current(), Request { principal: principal.as_str(), host })
            }
        }
    }
}

/// An address as Java prints it, which lists have: all eight groups of an IPv6 address, and an IPv4
/// address inside one as itself.
pub fn host(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:x}"));
            groups.join(":")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn addresses_are_written_as_java_writes_them() {
        let written = |text: &str| host(text.parse().unwrap());
        assert_eq!(written("127.0.0.1"), "127.0.0.1");
        assert_eq!(written("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(written("::1"), "0:0:0:0:0:0:0:1");
        assert_eq!(written("2001:db8::AB"), "2001:db8:0:0:0:0:0:ab");
    }
}
