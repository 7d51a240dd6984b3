//! What a configuration key is.

/// A value's type, with the number that DescribeConfigs gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean = 1,
    /// Any text.
    String = 2,
    /// 32 bits, signed.
    Int = 3,
    /// 16 bits, signed.
    Short = 4,
    /// 64 bits, signed.
    Long = 5,
    /// A floating-point number.
    Double = 6,
    /// Texts with commas between them.
    List = 7,
    /// The name of a Java class.
    Class = 8,
    /// A text that is never shown.
    Password = 9,
}

/// What a value must fulfil besides its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// Nothing.
    Any,
    /// A number that is at least this.
    AtLeast(i64),
    /// A number from and to these.
    Between(i64, i64),
    /// A fraction from and to these.
    Fraction(f64, f64),
    /// One of these texts; of a list, each of them.
    OneOf(&'static [&'static str]),
    /// `*`, or partition and broker pairs: `0:1,1:2`.
    ThrottledReplicas,
}

/// When a broker's key may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dynamic {
    /// At a start only.
    ReadOnly,
    /// While the broker runs, for one broker.
    PerBroker,
    /// While the brokers run, for all or one of them.
    ClusterWide,
}

/// What setting a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it does in Kafka.
    Full,
    /// Nothing, and why.
    None(&'static str),
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// Its value's type.
    pub kind: Kind,
    /// Its default; `None` for no value.
    pub default: Option<&'static str>,
    /// What its value must fulfil.
    pub check: Check,
    /// For a topic's key: the broker's keys that give its default, first the one that goes before
    /// the others, each with what its value is multiplied by.
    pub broker: &'static [(&'static str, i64)],
    /// For a broker's key.
    pub dynamic: Dynamic,
    /// What it does here.
    pub effect: Effect,
    /// What it is, in a sentence.
    pub about: &'static str,
}

impl Definition {
    /// Whether its value is never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }
}

/// A key with the most usual properties.
pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Definition {
    Definition {
        name,
        kind,
        default: Some(default),
        check: Check::Any,
        broker: &[],
        dynamic: Dynamic::ReadOnly,
        effect: Effect::Full,
        about,
    }
}

impl Definition {
    pub(super) const fn unset(mut self) -> Self {
        self.default = None;
        self
    }

    pub(super) const fn check(mut self, check: Check) -> Self {
        self.check = check;
        self
    }

    pub(super) const fn broker(mut self, broker: &'static [(&'static str, i64)]) -> Self {
        self.broker = broker;
        self
    }

    pub(super) const fn per_broker(mut self) -> Self {
        self.dynamic = Dynamic::PerBroker;
        self
    }

    pub(super) const fn cluster_wide(mut self) -> Self {
        self.dynamic = Dynamic::ClusterWide;
        self
    }

    pub(super) const fn without_effect(mut self, why: &'static str) -> Self {
        self.effect = Effect::None(why);
        self
    }
}
