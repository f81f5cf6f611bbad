//! How a command is declared, registered and called.

use crate::redis::call::CommandCall;
use crate::redis::error::CommandError;
use crate::redis::guard::guarded;
use crate::redis::stats::{self, Total};
use redis_module::{Context, raw};
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

/// A command of the module. Its implementor is the struct that its arguments are parsed into.
pub(crate) trait Command {
    /// What `COMMAND DOCS` says about the command.
    const DOCS: Docs;

    /// The tips of `COMMAND INFO`, for clients that could share or cache replies. Most replies depend on the time.
    const TIPS: &'static CStr = c"nondeterministic_output";

    /// Parses the arguments of the call, applies them, and replies.
    ///
    /// # Errors
    /// The error to reply; nothing should have been replied then, and nothing changed.
    fn run(call: &CommandCall<'_>) -> Result<(), CommandError>;
}

/// What `COMMAND DOCS` says about a command.
pub(crate) struct Docs {
    /// One sentence on what it does.
    pub(crate) summary: &'static CStr,
    /// Its cost as a function of its input.
    pub(crate) complexity: &'static CStr,
    /// The arguments after the name.
    pub(crate) arguments: &'static [Argument],
}

/// One argument, or several that belong together.
pub(crate) struct Argument {
    /// Its name in hints.
    name: &'static CStr,
    /// The word that comes before it, or that it is.
    token: Option<&'static CStr>,
    /// What it is.
    kind: ArgumentKind,
    /// How often it may occur.
    count: ArgumentCount,
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
    /// One of these words.
    OneWordOf(fn() -> Vec<&'static str>),
    /// All of these.
    Block(&'static [Argument]),
}

/// How often an argument may occur.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ArgumentCount {
    /// Once.
    One,
    /// Once or not at all.
    Optional,
    /// Any number of times.
    Any,
}

impl Argument {
    /// The limiter's key.
    pub(crate) const KEY: Self = Self::new(c"key", ArgumentKind::Key);
    /// The address that an attempt comes from.
    pub(crate) const IP: Self = Self::new(c"ip", ArgumentKind::Text);
    /// The email that an attempt is on.
    pub(crate) const EMAIL: Self = Self::new(c"email", ArgumentKind::Text);
    /// `COST n`.
    pub(crate) const COST: Self = Self::new(c"cost", ArgumentKind::Integer).after(c"COST").optional();
    /// `DEVICE id`.
    pub(crate) const DEVICE: Self = Self::new(c"device", ArgumentKind::Text).after(c"DEVICE").optional();

    /// An argument that occurs once.
    pub(crate) const fn new(name: &'static CStr, kind: ArgumentKind) -> Self {
        Self { name, token: None, kind, count: ArgumentCount::One }
    }

    /// A word that is its own name.
    pub(crate) const fn word(name: &'static CStr, word: &'static CStr) -> Self {
        Self::new(name, ArgumentKind::Token).after(word)
    }

    /// The same argument after a word.
    pub(crate) const fn after(self, word: &'static CStr) -> Self {
        Self { token: Some(word), ..self }
    }

    /// The same argument, which may be left out.
    pub(crate) const fn optional(self) -> Self {
        Self { count: ArgumentCount::Optional, ..self }
    }

    /// The same argument, any number of times.
    pub(crate) const fn any_number(self) -> Self {
        Self { count: ArgumentCount::Any, ..self }
    }
}

/// A command with what it is registered with.
pub(crate) struct Registration {
    name: &'static CStr,
    arity: c_int,
    flags: &'static CStr,
    is_dangerous: bool,
    tips: &'static CStr,
    docs: Docs,
    handler: Handler,
}

/// The function that the server calls for a command.
type Handler = unsafe extern "C" fn(*mut raw::RedisModuleCtx, *mut *mut raw::RedisModuleString, c_int) -> c_int;

/// A command that the server does not take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the server does not take the command {0:?}")]
pub(crate) struct RegisterError(&'static CStr);

impl Registration {
    /// Command `C` under a name. The arity is the number of words, including the name; negative for a minimum. The
    /// flags are those of `RedisModule_CreateCommand`.
    pub(crate) const fn of<C: Command>(name: &'static CStr, arity: c_int, flags: &'static CStr) -> Self {
        Self { name, arity, flags, is_dangerous: false, tips: C::TIPS, docs: C::DOCS, handler: handle::<C> }
    }

    /// The same command, which can switch the limiter off, so that users without `@dangerous` may not call it.
    pub(crate) const fn dangerous(self) -> Self {
        Self { is_dangerous: true, ..self }
    }

    /// Registers the command with the server, in these categories as well as in those of its flags. After an error the
    /// module must not load.
    pub(super) fn register(&self, ctx: &Context, categories: &[&'static str]) -> Result<(), RegisterError> {
        let refused = RegisterError(self.name);
        let (name, flags) = (self.name.as_ptr(), self.flags.as_ptr());
        // SAFETY: the context is that of the running load, the strings are C strings, and the handler has the signature
        // that the server calls it with.
        let created = unsafe { api!(RedisModule_CreateCommand(ctx.ctx, name, Some(self.handler), flags, 1, 1, 1)) };
        if created != Some(0) {
            return Err(refused);
        }
        // SAFETY: as above; the command has just been created.
        let command = unsafe { api!(RedisModule_GetCommand(ctx.ctx, name)) };
        let command = command.filter(|command| !command.is_null()).ok_or(refused)?;
        self.set_categories(command, categories)?;
        self.describe(command)
    }

    /// Puts the command into its categories of access control lists, where modules can: since Redis 7.2 and Valkey 8.
    fn set_categories(
        &self,
        command: *mut raw::RedisModuleCommand,
        others: &[&'static str],
    ) -> Result<(), RegisterError> {
        let access = if self.has_flag("readonly") { "read" } else { "write" };
        let speed = if self.has_flag("fast") { "fast" } else { "slow" };
        let mut all = vec![access, speed];
        all.extend(self.is_dangerous.then_some("dangerous"));
        all.extend(others);
        // The words contain no NUL.
        let all = CString::new(all.join(" ")).unwrap_or_default();
        // SAFETY: the command has just been created; the server copies what it needs of the string.
        match unsafe { api!(RedisModule_SetCommandACLCategories(command, all.as_ptr())) } {
            // The server has no categories for modules.
            None | Some(0) => Ok(()),
            Some(_) => Err(RegisterError(self.name)),
        }
    }

    /// Whether the flags contain a word.
    fn has_flag(&self, flag: &str) -> bool {
        self.flags.to_bytes().split(|byte| *byte == b' ').any(|word| word == flag.as_bytes())
    }

    /// Gives the server what `COMMAND DOCS` and `COMMAND INFO` say about the command.
    fn describe(&self, command: *mut raw::RedisModuleCommand) -> Result<(), RegisterError> {
        let version = raw::RedisModuleCommandInfoVersion {
            version: 1,
            sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
            sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
            sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
        };
        let mut key_specs = [self.key_spec(), NO_KEY_SPEC];
        let mut lists = ArgumentLists::default();
        let arguments = lists.add(self.docs.arguments);
        let info = raw::RedisModuleCommandInfo {
            version: &raw const version,
            summary: self.docs.summary.as_ptr(),
            complexity: self.docs.complexity.as_ptr(),
            since: c"0.1.0".as_ptr(),
            history: ptr::null_mut(),
            tips: self.tips.as_ptr(),
            arity: self.arity,
            key_specs: key_specs.as_mut_ptr(),
            args: arguments,
        };
        // SAFETY: the command is the one just created; the server copies all that `info` points to, which lives until
        // the end of this function.
        let described = unsafe { api!(RedisModule_SetCommandInfo(command, &raw const info)) };
        if described == Some(0) { Ok(()) } else { Err(RegisterError(self.name)) }
    }

    /// Where the one key is, and whether it is read or changed.
    fn key_spec(&self) -> raw::RedisModuleCommandKeySpec {
        let access = if self.has_flag("readonly") {
            raw::REDISMODULE_CMD_KEY_RO
        } else {
            raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_UPDATE
        };
        let mut spec = NO_KEY_SPEC;
        spec.flags = u64::from(access | raw::REDISMODULE_CMD_KEY_ACCESS);
        spec.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
        spec.bs.index.pos = 1;
        spec.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
        spec.fk.range.lastkey = 0;
        spec.fk.range.keystep = 1;
        spec.fk.range.limit = 0;
        spec
    }
}

/// The category of all our commands in access control lists, `@authlimit`.
const ACL_CATEGORY: &CStr = c"authlimit";

/// Adds the category to those of the server, where modules may: since Redis 7.4 and Valkey 8. Returns it if it was
/// added.
pub(super) fn add_acl_category(ctx: &Context) -> Option<&'static str> {
    // SAFETY: the context is that of the running load, the name a C string.
    let added = unsafe { api!(RedisModule_AddACLCategory(ctx.ctx, ACL_CATEGORY.as_ptr())) };
    added.filter(|status| *status == 0).and_then(|_| ACL_CATEGORY.to_str().ok())
}

/// Ends a list of key specs.
const NO_KEY_SPEC: raw::RedisModuleCommandKeySpec = {
    // SAFETY: all fields are numbers, pointers and unions of such, for which zero is a valid value.
    unsafe { std::mem::zeroed() }
};

/// Ends a list of arguments.
const NO_ARGUMENT: raw::RedisModuleCommandArg = {
    // SAFETY: all fields are numbers and pointers, for which zero is a valid value.
    unsafe { std::mem::zeroed() }
};

/// Arguments in the API's form, with all that they point to.
#[derive(Default)]
struct ArgumentLists {
    lists: Vec<Vec<raw::RedisModuleCommandArg>>,
    words: Vec<CString>,
}

impl ArgumentLists {
    /// Adds a list of arguments, ended by an empty one; returns its start, which stays valid as long as `self`.
    fn add(&mut self, arguments: &[Argument]) -> *mut raw::RedisModuleCommandArg {
        let list = arguments.iter().map(|argument| self.entry(argument)).collect();
        self.keep(list)
    }

    /// One argument.
    fn entry(&mut self, argument: &Argument) -> raw::RedisModuleCommandArg {
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
                entry.subargs = self.add(parts);
                raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF
            }
            ArgumentKind::OneWordOf(words) => {
                entry.subargs = self.add_words(&words());
                raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF
            }
            ArgumentKind::Block(parts) => {
                entry.subargs = self.add(parts);
                raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK
            }
        };
        entry
    }

    /// Adds a list of words, each named by itself in lower case.
    fn add_words(&mut self, words: &[&str]) -> *mut raw::RedisModuleCommandArg {
        let entry = |word: &&str| {
            let mut entry = NO_ARGUMENT;
            entry.name = self.word(word.to_ascii_lowercase());
            entry.token = self.word((*word).to_owned());
            entry.key_spec_index = -1;
            entry.type_ = raw::RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN;
            entry
        };
        let list = words.iter().map(entry).collect();
        self.keep(list)
    }

    /// Keeps a word as a C string; returns its start.
    fn word(&mut self, word: String) -> *const c_char {
        // Keywords contain no NUL.
        let word = CString::new(word).unwrap_or_default();
        let start = word.as_ptr();
        self.words.push(word);
        start
    }

    /// Keeps a list, with an empty argument at its end; returns its start.
    fn keep(&mut self, mut list: Vec<raw::RedisModuleCommandArg>) -> *mut raw::RedisModuleCommandArg {
        list.push(NO_ARGUMENT);
        let start = list.as_mut_ptr();
        self.lists.push(list);
        start
    }
}

/// The API's flags for how often an argument may occur.
fn flags(count: ArgumentCount) -> c_int {
    let flags = match count {
        ArgumentCount::One => raw::REDISMODULE_CMD_ARG_NONE,
        ArgumentCount::Optional => raw::REDISMODULE_CMD_ARG_OPTIONAL,
        ArgumentCount::Any => raw::REDISMODULE_CMD_ARG_OPTIONAL | raw::REDISMODULE_CMD_ARG_MULTIPLE,
    };
    c_int::try_from(flags).unwrap_or_default()
}

/// The callback of a command.
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
        guarded(|| call.reply_failure(error));
    }
    c_int::try_from(raw::REDISMODULE_OK).unwrap_or_default()
}

#[cfg(test)]
mod tests;
