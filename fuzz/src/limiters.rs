//! The target for a whole limiter.

use crate::answers::engine_matches_model;
use crate::model::policies::any_policies;
use crate::model::steps::{Case, EPOCHS, Step, any_server_step, any_step};
use crate::replica::replica_follows;
use proptest::strategy::{Just, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The most operations of one input.
const MAX_STEPS: usize = 400;

/// The first byte selects what is checked: that every answer is the model's, or that the replica equals its primary
/// after each operation, also when either is stored and loaded. The next two select policies, and each two after them
/// an operation.
pub fn limiter(bytes: &[u8]) {
    let Some((flags, bytes)) = bytes.split_first() else { return };
    let [to_model, with_capacity, is_set_back, has_lists, late] = [0, 1, 2, 3, 4].map(|bit| flags >> bit & 1 == 1);
    let mut pairs = bytes.as_chunks::<2>().0.iter();
    let Some(policies) = pairs.next() else { return };
    // The model knows nothing of capacities.
    let policies = drawn(&any_policies(with_capacity && !to_model), *policies);
    let policy = policies[0].clone();
    let server = if to_model { Just(Step::Restart).boxed() } else { any_server_step().boxed() };
    let step = any_step(policies, is_set_back, has_lists, server);
    let steps = pairs.take(MAX_STEPS).map(|pair| drawn(&step, *pair)).collect();
    let case = Case { policy, steps };
    let epoch = EPOCHS[usize::from(late)];
    let outcome = if to_model { engine_matches_model(&case, epoch) } else { replica_follows(&case, epoch) };
    if let Err(error) = outcome {
        panic!("{error}\nfrom {epoch} in the case:\n{case:?}");
    }
}

/// The value of the engine's tests that `pair` selects: the seed of the random generator. So a byte of an input changes
/// one operation, and any operation can follow any other.
fn drawn<S: Strategy>(strategy: &S, pair: [u8; 2]) -> S::Value {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&pair);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    strategy.new_tree(&mut runner).expect("the strategies reject little").current()
}
