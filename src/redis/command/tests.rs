//! A command that panics, in the callback that the server calls, over a server that only writes down the replies.

use super::*;
use std::cell::RefCell;
use std::ffi::{c_long, c_longlong};
use std::sync::Once;

thread_local! {
    /// What has been replied in this test, as on the wire of RESP2.
    static WIRE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Writes down one line of a reply.
fn write(line: String) -> c_int {
    WIRE.with_borrow_mut(|wire| wire.push(line));
    0
}

/// The text of a C string.
///
/// # Safety
/// It must be one.
unsafe fn text(start: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn integer(_: *mut raw::RedisModuleCtx, number: c_longlong) -> c_int {
    write(format!(":{number}"))
}

unsafe extern "C" fn array(_: *mut raw::RedisModuleCtx, len: c_long) -> c_int {
    write(format!("*{len}"))
}

unsafe extern "C" fn null(_: *mut raw::RedisModuleCtx) -> c_int {
    write("_".to_owned())
}

unsafe extern "C" fn error(_: *mut raw::RedisModuleCtx, message: *const c_char) -> c_int {
    // SAFETY: the module passes a C string.
    write(format!("-{}", unsafe { text(message) }))
}

/// Sets the functions of the module API that these tests need, once. Each test reads what its own thread has written.
fn pretend_to_be_a_server() {
    static ONCE: Once = Once::new();
    // SAFETY: no other test of the library calls a function of the API, and these tests do so after this.
    ONCE.call_once(|| unsafe {
        raw::RedisModule_ReplyWithLongLong = Some(integer);
        raw::RedisModule_ReplyWithArray = Some(array);
        raw::RedisModule_ReplyWithNull = Some(null);
        raw::RedisModule_ReplyWithError = Some(error);
    });
}

/// A command that fails before its reply (0), after it (1), or in the middle of it, by a panic (2) or an error (3).
struct Panics<const CASE: u8>;

impl<const CASE: u8> Command for Panics<CASE> {
    const DOCS: Docs = Docs { summary: c"", complexity: c"", arguments: &[] };

    fn run(call: &CommandCall<'_>) -> Result<(), CommandError> {
        match CASE {
            0 => panic!("before any reply"),
            1 => call.reply_integer(1),
            _ => {
                call.reply_array(3);
                call.reply_integer(1);
                call.reply_array(2);
                call.reply_integer(2);
            }
        }
        if CASE == 3 { Err(CommandError::NoLimiter) } else { panic!("after {CASE}") }
    }
}

/// The replies of the command's callback.
fn replies<const CASE: u8>() -> Vec<String> {
    pretend_to_be_a_server();
    WIRE.take();
    let mut argv = [ptr::null_mut(); 2];
    // SAFETY: the pretended server takes a null context, and the command reads no argument.
    unsafe { handle::<Panics<CASE>>(ptr::null_mut(), argv.as_mut_ptr(), 2) };
    WIRE.take()
}

const INTERNAL: &str = "-INTERNAL internal error of authlimit: see the server's log";

#[test]
fn a_panic_before_the_reply_is_answered_with_an_error() {
    assert_eq!(replies::<0>(), [INTERNAL]);
}

#[test]
fn a_panic_after_the_reply_is_not_answered_again() {
    assert_eq!(replies::<1>(), [":1"]);
}

#[test]
fn a_panic_in_the_middle_of_a_reply_ends_that_reply() {
    assert_eq!(replies::<2>(), ["*3", ":1", "*2", ":2", INTERNAL, "_"]);
}

#[test]
fn an_error_in_the_middle_of_a_reply_ends_that_reply() {
    let error = "-NOLIMITER no such limiter: AUTHLIMIT.POLICY or the first AUTHLIMIT.CHECK creates it";
    assert_eq!(replies::<3>(), ["*3", ":1", "*2", ":2", error, "_"]);
}
