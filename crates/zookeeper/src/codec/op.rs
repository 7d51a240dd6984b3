//! Operation codes: `ZooDefs.OpCode`.

macro_rules! op_codes {
    ($($name:ident = $value:literal,)+) => {
        /// What a request asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[allow(missing_docs)]
        pub enum OpCode { $($name = $value,)+ }

        impl OpCode {
            /// Every code, in the order of the specification.
            pub const ALL: &'static [OpCode] = &[$(OpCode::$name,)+];

            /// The operation of a number, if it is one.
            pub fn from_i32(value: i32) -> Option<OpCode> {
                match value { $($value => Some(OpCode::$name),)+ _ => None }
            }
        }
    };
}

op_codes! {
    Create = 1,
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    GetAcl = 6,
    SetAcl = 7,
    GetChildren = 8,
    Sync = 9,
    Ping = 11,
    GetChildren2 = 12,
    Check = 13,
    Multi = 14,
    Create2 = 15,
    Reconfig = 16,
    CheckWatches = 17,
    RemoveWatches = 18,
    CreateContainer = 19,
    DeleteContainer = 20,
    CreateTtl = 21,
    MultiRead = 22,
    Auth = 100,
    SetWatches = 101,
    Sasl = 102,
    GetEphemerals = 103,
    GetAllChildrenNumber = 104,
    SetWatches2 = 105,
    AddWatch = 106,
    WhoAmI = 107,
    CreateSession = -10,
    CloseSession = -11,
}

impl From<OpCode> for i32 {
    fn from(op: OpCode) -> i32 {
        op as i32
    }
}
