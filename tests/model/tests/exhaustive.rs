//! All states of the model for four validators, one of them faulty, in views 0 to 2: the claims of the
//! safety argument hold in every one. With a rule weakened they do not, which shows that the check
//! can fail.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use certchain_model::{Setup, State, Step, View, Weakness, apply, steps};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path, Property};

/// Views 0 to this one.
const HIGHEST: View = 2;
/// No check may take longer; what is not finished then has not been shown.
const PATIENCE: Duration = Duration::from_secs(600);

const AGREEMENT: &str = "no two blocks are decided";
const ONE_PER_VIEW: &str = "one view prepares one block";
const KEPT: &str = "later views keep to what is decided";
const IN_ORDER: &str = "nobody votes below a view that it asked for";

/// What a checker looks for.
#[derive(Clone, Copy)]
enum Look {
    /// The claims of the safety argument.
    Safety,
    /// Whether anything happens at all.
    Reach,
}

struct Whole {
    setup: Setup,
    highest: View,
    look: Look,
}

impl Whole {
    /// Four validators. The faulty ones lead the views of their numbers: each choice is a different
    /// place in the order of primaries.
    fn new(faulty: &[usize], look: Look) -> Self {
        Self {
            setup: Setup::new(4, faulty, 0).loose(),
            highest: HIGHEST,
            look,
        }
    }

    fn weakened(weakness: Weakness, faulty: &[usize]) -> Self {
        Self {
            setup: Setup::new(4, faulty, 0).loose().weakened(weakness),
            highest: HIGHEST,
            look: Look::Safety,
        }
    }

    fn decides(&self, state: &State, in_view: View, made_in: View) -> bool {
        state
            .decisions(&self.setup)
            .any(|d| d.view == in_view && d.block.view == made_in)
    }
}

impl Model for Whole {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.setup)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        actions.extend(steps(&self.setup, state, self.highest));
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        apply(&self.setup, &mut next, &step);
        Some(next.representative(&self.setup))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        match self.look {
            Look::Safety => safety(),
            Look::Reach => reach(),
        }
    }
}

fn safety() -> Vec<Property<Whole>> {
    vec![
        Property::always(AGREEMENT, |m: &Whole, s: &State| s.agrees(&m.setup)),
        Property::always(ONE_PER_VIEW, |m: &Whole, s: &State| {
            s.prepares_one_block_per_view(&m.setup)
        }),
        Property::always(KEPT, |m: &Whole, s: &State| s.keeps_to_decisions(&m.setup)),
        Property::always(IN_ORDER, |_: &Whole, s: &State| s.votes_in_order()),
    ]
}

fn reach() -> Vec<Property<Whole>> {
    vec![
        Property::sometimes("decided in view 0", |m: &Whole, s: &State| {
            m.decides(s, 0, 0)
        }),
        Property::sometimes("fresh block decided in view 1", |m: &Whole, s: &State| {
            m.decides(s, 1, 1)
        }),
        Property::sometimes(
            "block of view 0 decided in view 1",
            |m: &Whole, s: &State| m.decides(s, 1, 0),
        ),
        Property::sometimes("fresh block decided in view 2", |m: &Whole, s: &State| {
            m.decides(s, 2, 2)
        }),
        Property::sometimes(
            "block of view 1 decided in view 2",
            |m: &Whole, s: &State| m.decides(s, 2, 1),
        ),
        Property::sometimes(
            "block of view 0 decided in view 2",
            |m: &Whole, s: &State| m.decides(s, 2, 0),
        ),
        Property::sometimes("decided in all views", |m: &Whole, s: &State| {
            (0..=HIGHEST).all(|view| m.decides(s, view, 0))
        }),
    ]
}

/// Walks through all states, or until one of these has been found.
fn walk(model: Whole, until: HasDiscoveries) -> impl Checker<Whole> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let builder = model.checker().threads(threads).timeout(PATIENCE);
    builder.finish_when(until).spawn_bfs().join()
}

/// The steps of a path, with each validator and block keeping its name: the path goes through
/// representatives, which may be numbered anew after every step.
fn story(setup: &Setup, path: &Path<State, Step>) -> String {
    let mut state = State::new(setup);
    let mut text = String::new();
    for reached in path.clone().into_states().into_iter().skip(1) {
        let after = |step: &Step| {
            let mut next = state.clone();
            apply(setup, &mut next, step);
            next
        };
        let mut found = steps(setup, &state, HIGHEST).into_iter();
        let Some(step) = found.find(|step| after(step).representative(setup) == reached) else {
            return text + "\n    (no step leads on)";
        };
        state = after(&step);
        text += &format!("\n    {step:?}");
    }
    text
}

#[test]
fn the_claims_of_the_safety_argument_hold_in_all_states() {
    let mut sum = 0;
    // The faulty one leads view 0, 1, 2, or none of these.
    for faulty in 0..4 {
        let begun = Instant::now();
        let checker = walk(
            Whole::new(&[faulty], Look::Safety),
            HasDiscoveries::AnyFailures,
        );
        if let Some((claim, path)) = checker.discoveries().into_iter().next() {
            panic!(
                "{faulty} is faulty: not {claim}:{}",
                story(&checker.model().setup, &path)
            );
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{faulty} is faulty: out of time"
        );
        let states = checker.unique_state_count();
        println!(
            "validator {faulty} is faulty: {states} states, {} steps, up to {} deep, {} ms",
            checker.state_count(),
            checker.max_depth(),
            begun.elapsed().as_millis()
        );
        sum += states;
    }
    println!("{sum} states in views 0 to {HIGHEST}, no claim fails");
    assert!(sum > 1_000_000, "only {sum} states: most were not reached");
}

#[test]
fn decisions_are_reached_in_every_view() {
    for faulty in 0..4 {
        let checker = walk(Whole::new(&[faulty], Look::Reach), HasDiscoveries::All);
        let found = checker.discoveries();
        for property in checker.model().properties() {
            assert!(property.expectation == Expectation::Sometimes);
            let name = property.name;
            assert!(found.contains_key(name), "{faulty} is faulty: never {name}");
        }
    }
}

#[test]
fn primaries_that_keep_all_rules_add_nothing() {
    for faulty in 0..4 {
        let model = Whole {
            setup: Setup::new(4, &[faulty], 0),
            highest: 1,
            look: Look::Safety,
        };
        let checker = walk(model, HasDiscoveries::AnyFailures);
        let states = checker.unique_state_count();
        println!("validator {faulty} is faulty, views 0 and 1, exact primaries: {states} states");
        assert!(checker.discoveries().is_empty());
        assert!(states > 1_000, "only {states} states");
    }
}

/// Weakens a rule and looks for a state where just this claim fails, whoever is faulty.
fn breaks(weakness: Weakness, claim: &'static str) {
    for faulty in 0..4 {
        let begun = Instant::now();
        let until = HasDiscoveries::AnyOf(BTreeSet::from([claim]));
        let checker = walk(Whole::weakened(weakness, &[faulty]), until);
        if let Some(path) = checker.discovery(claim) {
            println!(
                "{weakness:?}, validator {faulty} is faulty: {} states, {} ms; not {claim}:{}",
                checker.unique_state_count(),
                begun.elapsed().as_millis(),
                story(&checker.model().setup, &path)
            );
            return;
        }
    }
    panic!("{weakness:?}: no state shows that {claim} fails");
}

#[test]
fn a_hidden_certificate_is_found() {
    breaks(Weakness::HidesCertificate, AGREEMENT);
}

#[test]
fn a_lower_choice_is_found() {
    breaks(Weakness::ChoosesLower, AGREEMENT);
}

#[test]
fn an_opening_on_fewer_claims_is_found() {
    breaks(Weakness::OpensOnFewer, AGREEMENT);
}

#[test]
fn votes_for_what_was_not_chosen_are_found() {
    breaks(Weakness::PreparesAnything, AGREEMENT);
}

#[test]
fn votes_below_a_view_asked_for_are_found() {
    breaks(Weakness::PreparesBelow, IN_ORDER);
    breaks(Weakness::VotesBelow, AGREEMENT);
}

#[test]
fn a_commit_on_an_old_certificate_is_found() {
    breaks(Weakness::CommitsOnOldCertificate, AGREEMENT);
}

#[test]
fn a_commit_without_a_certificate_is_found() {
    breaks(Weakness::CommitsUnprepared, AGREEMENT);
}

#[test]
fn a_smaller_quorum_is_found() {
    breaks(Weakness::SmallQuorum, AGREEMENT);
    breaks(Weakness::SmallQuorum, ONE_PER_VIEW);
}

#[test]
fn a_second_faulty_one_is_found() {
    for (faulty, claim) in [([0, 3], ONE_PER_VIEW), ([1, 3], KEPT), ([0, 1], AGREEMENT)] {
        let until = HasDiscoveries::AnyOf(BTreeSet::from([claim]));
        let checker = walk(Whole::new(&faulty, Look::Safety), until);
        let found = checker.discovery(claim).is_some();
        assert!(found, "{faulty:?} are faulty, and still: {claim}");
    }
}
