//! Access tokens: who a thread acts as. `SeTokenIsAdmin`, `SeTokenType`, `SeQueryAuthenticationIdToken` and the like;
//! `RtlFormatCurrentUserKeyPath`.
//!
//! The system acts as itself. Programs act as one user: an administrator whose rights are in force, as in an elevated command prompt, or
//! with [`set_program_is_administrator`] a plain user.

use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    ob,
    ps::{self, ProcessId},
    rtl::{PASSIVE, string},
    se::sid::Sid,
    status::NtStatus,
};

/// `SE_PRIVILEGE_ENABLED_BY_DEFAULT` and `SE_PRIVILEGE_ENABLED`.
pub(super) const ENABLED: u32 = 0x3;
/// `SE_GROUP_MANDATORY`, `SE_GROUP_ENABLED_BY_DEFAULT` and `SE_GROUP_ENABLED`.
pub(super) const GROUP_ENABLED: u32 = 0x7;
/// `SE_GROUP_OWNER`.
const GROUP_OWNER: u32 = 0x8;

/// `TokenPrimary` of `TOKEN_TYPE`.
pub(super) const TOKEN_PRIMARY: u32 = 1;

/// The size of a token's object, whose contents are the system's own business.
const TOKEN_SIZE: usize = 0x40;

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Its object.
    pub object: Va,
    pub user: Sid,
    /// Groups with their attributes.
    pub groups: Vec<(Sid, u32)>,
    /// Privileges with their attributes.
    pub privileges: Vec<(u32, u32)>,
    /// The owner of what its holder creates.
    pub owner: Sid,
    pub primary_group: Sid,
    /// The logon session.
    pub authentication_id: u64,
    pub session: u32,
    /// The sub-authority of the mandatory label.
    pub integrity: u32,
}

impl Token {
    /// Whether the identifier is the user or a group that is in force.
    pub(super) fn has(&self, sid: &Sid) -> bool {
        self.user == *sid
            || self
                .groups
                .iter()
                .any(|(group, attributes)| group == sid && attributes & 4 != 0)
    }

    /// Whether a privilege is held and enabled.
    pub(super) fn has_privilege(&self, luid: u64) -> bool {
        self.privileges
            .iter()
            .any(|&(number, attributes)| u64::from(number) == luid && attributes & 2 != 0)
    }
}

/// The system's token and that of programs.
#[derive(Default)]
struct Tokens {
    system: Option<Token>,
    program: Option<Token>,
    program_is_plain: bool,
}

fn nt(parts: &[u32]) -> Sid {
    Sid::new(5, parts)
}

/// `S-1-5-32-544`.
pub(super) fn administrators() -> Sid {
    nt(&[32, 544])
}

/// `S-1-5-18`.
pub(super) fn local_system() -> Sid {
    nt(&[18])
}

/// `S-1-1-0`.
pub(super) fn everyone() -> Sid {
    Sid::new(1, &[0])
}

/// What the programs of a scenario run as: an administrator whose rights are in force, or a plain user. Before a driver has looked.
pub fn set_program_is_administrator(k: &Kernel, administrator: bool) {
    let tokens = k.state::<Tokens>();
    let mut tokens = tokens.borrow_mut();
    tokens.program_is_plain = !administrator;
    tokens.program = None;
}

fn system_token(object: Va) -> Token {
    Token {
        object,
        user: local_system(),
        groups: vec![
            (administrators(), GROUP_ENABLED & !1 | GROUP_OWNER),
            (everyone(), GROUP_ENABLED),
            (nt(&[11]), GROUP_ENABLED),
        ],
        privileges: (2..=35)
            .filter(|&number| number != 6 && number != 26)
            .map(|number| (number, ENABLED))
            .collect(),
        owner: administrators(),
        primary_group: local_system(),
        authentication_id: 0x3E7,
        session: 0,
        integrity: 0x4000,
    }
}

fn program_token(object: Va, plain: bool) -> Token {
    const CHANGE_NOTIFY: u32 = 23;
    let domain = [21, 1_000_000_001, 1_000_000_002, 1_000_000_003];
    let member = |number: u32| nt(&[&domain[..], &[number]].concat());
    let mut groups = vec![
        (everyone(), GROUP_ENABLED),
        (nt(&[32, 545]), GROUP_ENABLED),
        (nt(&[4]), GROUP_ENABLED),
        (nt(&[11]), GROUP_ENABLED),
    ];
    // SeShutdownPrivilege, SeUndockPrivilege, SeIncreaseWorkingSetPrivilege, SeTimeZonePrivilege.
    let mut held = vec![19, 25, 33, 34];
    if !plain {
        groups.push((administrators(), GROUP_ENABLED | GROUP_OWNER));
        held.extend([5, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 20, 22, 24, 28, 29, 30, 35]);
    }
    held.sort_unstable();
    let mut privileges: Vec<_> = held.into_iter().map(|number| (number, 0)).collect();
    privileges.insert(0, (CHANGE_NOTIFY, ENABLED));
    Token {
        object,
        user: member(1001),
        groups,
        privileges,
        owner: if plain { member(1001) } else { administrators() },
        primary_group: member(513),
        authentication_id: 0x1_2345,
        session: 1,
        integrity: if plain { 0x2000 } else { 0x3000 },
    }
}

/// The token of the current thread's process.
pub(super) fn current(k: &Kernel) -> Outcome<Token> {
    of_process(k, ps::current(k))
}

/// The token of a process.
pub(super) fn of_process(k: &Kernel, process: ProcessId) -> Outcome<Token> {
    let is_system = process == ProcessId::SYSTEM;
    let tokens = k.state::<Tokens>();
    let known = {
        let tokens = tokens.borrow();
        if is_system {
            tokens.system.clone()
        } else {
            tokens.program.clone()
        }
    };
    if let Some(token) = known {
        return Ok(token);
    }
    let object = k.allocate_system(TOKEN_SIZE, "token")?;
    ob::object::adopt_foreign(k, object, ob::object::Type::Token);
    let mut tokens = tokens.borrow_mut();
    let token = if is_system {
        system_token(object)
    } else {
        program_token(object, tokens.program_is_plain)
    };
    let slot = if is_system {
        &mut tokens.system
    } else {
        &mut tokens.program
    };
    *slot = Some(token.clone());
    Ok(token)
}

/// The token whose object is at `object`.
///
/// # Errors
/// When there is none.
pub(super) fn at(k: &Kernel, routine: &str, object: Va) -> Outcome<Token> {
    let tokens = k.state::<Tokens>();
    let tokens = tokens.borrow();
    let all = [&tokens.system, &tokens.program];
    let found = all.into_iter().flatten().find(|token| token.object == object);
    found.cloned().ok_or_else(|| {
        k.not_modelled(format!(
            "{routine} was given {object}, which is none of the tokens that this machine has: those of SeCaptureSubjectContext"
        ))
    })
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("SeTokenIsAdmin", 1, PASSIVE, |k, a| {
        Ok(at(k, "SeTokenIsAdmin", a.va(0))?.has(&administrators()))
    });
    for name in ["SeTokenIsRestricted", "SeTokenIsWriteRestricted"] {
        ddi.function(name, 1, PASSIVE, move |k, a| {
            at(k, name, a.va(0))?;
            // No token here has restricting identifiers.
            Ok(false)
        });
    }
    ddi.function("RtlFormatCurrentUserKeyPath", 1, PASSIVE, |k, a| {
        let path = format!("\\REGISTRY\\USER\\{}", current(k)?.user.text());
        string::store(k, a.va(0), &path, true)
    });
    ddi.function("SeTokenType", 1, Contract::ANY, |k, a| {
        at(k, "SeTokenType", a.va(0))?;
        Ok(TOKEN_PRIMARY)
    });
    ddi.function("SeTokenImpersonationLevel", 1, Contract::ANY, |k, a| {
        at(k, "SeTokenImpersonationLevel", a.va(0))?;
        // SecurityAnonymous: a primary token impersonates nobody.
        Ok(0_u32)
    });
    ddi.function("SeQueryAuthenticationIdToken", 2, PASSIVE, |k, a| {
        let token = at(k, "SeQueryAuthenticationIdToken", a.va(0))?;
        k.write(a.va(1), token.authentication_id)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("SeQuerySessionIdToken", 2, PASSIVE, |k, a| {
        let token = at(k, "SeQuerySessionIdToken", a.va(0))?;
        k.write(a.va(1), token.session)?;
        Ok(NtStatus::SUCCESS)
    });
}
