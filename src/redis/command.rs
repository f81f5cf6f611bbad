//! How a command is declared, registered and called.

use crate::redis::call::CommandCall;
use crate::redis::error::CommandError;
use crate::redis::guard::guarded;
use crate::redis::stats::{self, Total};
use redis_module::{Context, raw};
use std::ffi::{CStr, c_int};
use std::ptr;

/// A command of the module. Its implementor is the struct that its arguments are parsed into.
pub(crate) trait Command {
    /// How the command is declared to the server.
    const SPEC: Spec;

    /// Parses the arguments of the call, does what they ask, and replies.
    ///
    /// # Errors
    /// Whatever becomes the error reply; nothing has been replied then, and nothing done.
    fn run(call: &CommandCall<'_>) -> Result<(), CommandError>;
}

/// What `COMMAND INFO` and `COMMAND DOCS` say of a command.
pub(crate) struct Spec {
    /// The name, as `AUTHLIMIT.CHECK`.
    pub(crate) name: &'static CStr,
    /// The flags of `RedisModule_CreateCommand`.
    pub(crate) flags: &'static CStr,
    /// The number of words, the name among them; negative for at least so many.
    pub(crate) arity: c_int,
    /// One sentence on what it does.
    pub(crate) summary: &'static CStr,
    /// Its cost as a function of its input.
    pub(crate) complexity: &'static CStr,
    /// What it does to its one key, which is its first argument.
    pub(crate) access: KeyAccess,
    /// The arguments after the name.
    pub(crate) arguments: &'static [Argument],
}

/// What a command does to its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyAccess {
    /// Reads it.
    Read,
    /// Changes it, or creates it.
    Update,
}

/// One argument, or several that belong together.
pub(crate) struct Argument {
    /// What it is called in hints.
    pub(crate) name: &'static CStr,
    /// The word that comes before it, or that it is.
    pub(crate) token: Option<&'static CStr>,
    /// What it is.
    pub(crate) kind: ArgumentKind,
    /// How often it stands there.
    pub(crate) count: ArgumentCount,
}

/// What an argument is.
pub(crate) enum ArgumentKind {
    /// The limiter's key.
    Key,
    /// Any bytes.
    Text,
    /// A whole number.
    Integer,
    /// Just the token.
    Token,
    /// One of these.
    OneOf(&'static [Argument]),
    /// All of these.
    Block(&'static [Argument]),
}

/// How often an argument stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ArgumentCount {
    /// Once.
    One,
    /// Once or not at all.
    Optional,
    /// Any number of times.
    Any,
}

impl Argument {
    /// The limiter's key.
    pub(crate) const KEY: Self = Self::text(c"key", ArgumentKind::Key);
    /// The address that an attempt comes from.
    pub(crate) const IP: Self = Self::text(c"ip", ArgumentKind::Text);
    /// The email that an attempt is on.
    pub(crate) const EMAIL: Self = Self::text(c"email", ArgumentKind::Text);
    /// `COST n`.
    pub(crate) const COST: Self =
        Self { token: Some(c"COST"), count: ArgumentCount::Optional, ..Self::text(c"cost", ArgumentKind::Integer) };

    /// `DEVICE id`.
    pub(crate) const DEVICE: Self =
        Self { token: Some(c"DEVICE"), count: ArgumentCount::Optional, ..Self::text(c"device", ArgumentKind::Text) };

    /// An argument that stands there once.
    pub(crate) const fn text(name: &'static CStr, kind: ArgumentKind) -> Self {
        Self { name, token: None, kind, count: ArgumentCount::One }
    }

    /// A word that is its own name.
    pub(crate) const fn token(name: &'static CStr, word: &'static CStr) -> Self {
        Self { token: Some(word), ..Self::text(name, ArgumentKind::Token) }
    }
}

/// What registers one command: [`register`] for its type.
pub(crate) type Register = fn(&Context) -> Result<(), RegisterError>;

/// Registers a command with the server; an error is one of this code, so the module must not load.
pub(crate) fn register<C: Command>(ctx: &Context) -> Result<(), RegisterError> {
    let spec = C::SPEC;
    let refused = RegisterError(spec.name);
    // SAFETY: the context is that of the running load, the strings are C strings, and the handler
    // has the signature that the server calls it with.
    let created = unsafe {
        api!(RedisModule_CreateCommand(ctx.ctx, spec.name.as_ptr(), Some(handle::<C>), spec.flags.as_ptr(), 1, 1, 1))
    };
    if created != Some(0) {
        return Err(refused);
    }
    // SAFETY: as above; the command has just been created.
    let command = unsafe { api!(RedisModule_GetCommand(ctx.ctx, spec.name.as_ptr())) };
    let command = command.filter(|command| !command.is_null()).ok_or(refused)?;
    categorise(command);
    describe(command, &spec)
}

/// The category of all our commands in access control lists, `@authlimit`.
const ACL_CATEGORY: &CStr = c"authlimit";

/// Adds the category to those of the server, where modules may: since Redis 7.4 and Valkey 8.
pub(super) fn add_acl_category(ctx: &Context) {
    // SAFETY: the context is that of the running load, the name a C string.
    unsafe { api!(RedisModule_AddACLCategory(ctx.ctx, ACL_CATEGORY.as_ptr())) };
}

/// Puts a command into the category; where there is none, the server refuses, and that is all.
fn categorise(command: *mut raw::RedisModuleCommand) {
    let category = ACL_CATEGORY.as_ptr();
    // SAFETY: the command is one that was just created, the name a C string.
    unsafe { api!(RedisModule_SetCommandACLCategories(command, category)) };
}

/// A command that the server would not take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the server does not take the command {0:?}")]
pub(crate) struct RegisterError(&'static CStr);

/// Gives the server what `COMMAND DOCS` and `COMMAND INFO` say of a command.
fn describe(command: *mut raw::RedisModuleCommand, spec: &Spec) -> Result<(), RegisterError> {
    let version = raw::RedisModuleCommandInfoVersion {
        version: 1,
        sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
        sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
        sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
    };
    let mut key_specs = [key_spec(spec.access), NO_KEY_SPEC];
    let mut lists = Vec::new();
    let arguments = argument_list(spec.arguments, &mut lists);
    let info = raw::RedisModuleCommandInfo {
        version: &raw const version,
        summary: spec.summary.as_ptr(),
        complexity: spec.complexity.as_ptr(),
        since: c"0.1.0".as_ptr(),
        history: ptr::null_mut(),
        tips: ptr::null(),
        arity: spec.arity,
        key_specs: key_specs.as_mut_ptr(),
        args: arguments,
    };
    // SAFETY: the command is the one just created; the server copies all that `info` points to,
    // which lives until the end of this function.
    let described = unsafe { api!(RedisModule_SetCommandInfo(command, &raw const info)) };
    if described == Some(0) { Ok(()) } else { Err(RegisterError(spec.name)) }
}

/// What ends a list of key specs.
const NO_KEY_SPEC: raw::RedisModuleCommandKeySpec = {
    // SAFETY: all fields are numbers, pointers and unions of such, for which zero is a value.
    unsafe { std::mem::zeroed() }
};

/// What ends a list of arguments.
const NO_ARGUMENT: raw::RedisModuleCommandArg = {
    // SAFETY: all fields are numbers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
};

/// Says that the one key is the first argument.
fn key_spec(access: KeyAccess) -> raw::RedisModuleCommandKeySpec {
    let flags = match access {
        KeyAccess::Read => raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_ACCESS,
        KeyAccess::Update => {
            raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_ACCESS | raw::REDISMODULE_CMD_KEY_UPDATE
        }
    };
    let mut spec = NO_KEY_SPEC;
    spec.flags = u64::from(flags);
    spec.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    spec.bs.index.pos = 1;
    spec.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
    spec.fk.range.lastkey = 0;
    spec.fk.range.keystep = 1;
    spec.fk.range.limit = 0;
    spec
}

/// The arguments as the API wants them, ended by an empty one. The list lives as long as `lists`.
fn argument_list(
    arguments: &[Argument],
    lists: &mut Vec<Vec<raw::RedisModuleCommandArg>>,
) -> *mut raw::RedisModuleCommandArg {
    let mut list = Vec::with_capacity(arguments.len().saturating_add(1));
    for argument in arguments {
        let mut entry = NO_ARGUMENT;
        entry.name = argument.name.as_ptr();
        entry.token = argument.token.map_or(ptr::null(), CStr::as_ptr);
        entry.key_spec_index = -1;
        entry.flags = flags(argument.count);
        entry.type_ = match argument.kind {
            ArgumentKind::Key => {
                entry.key_spec_index = 0;
                raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY
            }
            ArgumentKind::Text => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING,
            ArgumentKind::Integer => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER,
            ArgumentKind::Token => raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN,
            ArgumentKind::OneOf(parts) => {
                entry.subargs = argument_list(parts, lists);
                raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF
            }
            ArgumentKind::Block(parts) => {
                entry.subargs = argument_list(parts, lists);
                raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK
            }
        };
        list.push(entry);
    }
    list.push(NO_ARGUMENT);
    let start = list.as_mut_ptr();
    lists.push(list);
    start
}

/// The API's flags for how often an argument stands there.
fn flags(count: ArgumentCount) -> c_int {
    let flags = match count {
        ArgumentCount::One => raw::REDISMODULE_CMD_ARG_NONE,
        ArgumentCount::Optional => raw::REDISMODULE_CMD_ARG_OPTIONAL,
        ArgumentCount::Any => raw::REDISMODULE_CMD_ARG_OPTIONAL | raw::REDISMODULE_CMD_ARG_MULTIPLE,
    };
    c_int::try_from(flags).unwrap_or_default()
}

/// What the server calls for a command.
unsafe extern "C" fn handle<C: Command>(
    ctx: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    // SAFETY: these are the arguments of this callback, and the call ends with it.
    let call = unsafe { CommandCall::new(ctx, argv, argc) };
    let result = guarded(|| C::run(&call)).unwrap_or(Err(CommandError::Internal));
    if let Err(error) = result {
        stats::add(Total::Errors, 1);
        guarded(|| call.reply_error(error));
    }
    c_int::try_from(raw::REDISMODULE_OK).unwrap_or_default()
}
