//! What may be said when, and what follows from saying it.

use crate::{Block, Claim, Setup, State, Step, View, Weakness, Why};

fn no<T>(rule: &'static str, what: &'static str) -> Result<T, Why> {
    Err(Why { rule, what })
}

fn must(holds: bool, rule: &'static str, what: &'static str) -> Result<(), Why> {
    if holds { Ok(()) } else { no(rule, what) }
}

/// Whether an honest validator may say this now.
///
/// # Errors
/// The rule that forbids it.
pub fn enabled(setup: &Setup, state: &State, step: &Step) -> Result<(), Why> {
    let (who, view) = match *step {
        Step::Propose { block } => (setup.primary(block.view), block.view),
        Step::OpenView { view, .. } => (setup.primary(view), view),
        Step::Prepare { who, view, .. }
        | Step::Commit { who, view, .. }
        | Step::AskForView { who, view, .. } => (who, view),
    };
    must(setup.is_honest(who), "setup", "no honest validator")?;
    match *step {
        Step::Propose { block } => propose(setup, state, who, block),
        Step::Prepare { block, .. } => prepare(setup, state, who, view, block),
        Step::Commit { block, .. } => commit(setup, state, who, view, block),
        Step::AskForView { claim, .. } => {
            ask(setup, state, who, view)?;
            claims(setup, state, who, view, claim)
        }
        Step::OpenView { choice, .. } => open(setup, state, who, view, choice),
    }
}

/// PP-1, PP-2: a fresh block, once, in a view that takes one.
fn propose(setup: &Setup, state: &State, who: usize, block: Block) -> Result<(), Why> {
    let view = block.view;
    must(
        view == 0 || state.opened(view) == Some(None),
        "PP-1",
        "a fresh block in a view that takes none",
    )?;
    must(state.at[who] <= view, "VC-1", "PRE-PREPARE below its view")?;
    must(
        state.proposed(view).is_none() && (block.number == 0 || !setup.is_honest(who)),
        "PP-2",
        "a second block",
    )
}

/// P-1: PREPARE for the one block of an open view.
fn prepare(setup: &Setup, state: &State, who: usize, view: View, block: Block) -> Result<(), Why> {
    must(
        state.said(who, view).prepare.is_none(),
        "J-2",
        "a second PREPARE",
    )?;
    let may_be_below =
        setup.is_weak(Weakness::PreparesBelow) || setup.is_weak(Weakness::VotesBelow);
    must(
        state.at[who] <= view || may_be_below,
        "VC-1",
        "PREPARE below its view",
    )?;
    must(
        state.may_be_open(setup, view),
        "NV-3",
        "PREPARE in no open view",
    )?;
    must(block.view <= view, "PP-3", "a block of a later view")?;
    must(
        is_proposed(setup, state, block),
        "PP-3",
        "a block that its primary did not propose",
    )?;
    must(
        is_chosen(setup, state, view, block) || setup.is_weak(Weakness::PreparesAnything),
        "P-1",
        "a block that the view's opening does not choose",
    )
}

/// Whether the primary of its view may have made this block.
fn is_proposed(setup: &Setup, state: &State, block: Block) -> bool {
    !setup.has_honest_primary(block.view)
        || state.proposed(block.view) == Some(block)
        || (setup.is_loose() && block.number == 0)
}

/// NV-2, NV-4: whether some opening of the view makes this its block.
fn is_chosen(setup: &Setup, state: &State, view: View, block: Block) -> bool {
    let fresh = block.view == view;
    if view == 0 {
        return fresh;
    }
    if setup.has_honest_primary(view) {
        let wanted = Some(block).filter(|_| !fresh);
        return state.opened(view) == Some(wanted);
    }
    if fresh {
        return state.may_choose(setup, view, None);
    }
    (block.view..view)
        .flat_map(|lower| state.certificates_of(setup, lower))
        .any(|c| c.block == block && state.may_choose(setup, view, Some(c)))
}

/// C-1: COMMIT on own PREPARE and a certificate of this view.
fn commit(setup: &Setup, state: &State, who: usize, view: View, block: Block) -> Result<(), Why> {
    let said = state.said(who, view);
    must(said.commit.is_none(), "J-2", "a second COMMIT")?;
    must(
        state.at[who] <= view || setup.is_weak(Weakness::VotesBelow),
        "VC-1",
        "COMMIT below its view",
    )?;
    if setup.is_weak(Weakness::CommitsOnOldCertificate) {
        let old = (block.view..=view).any(|v| state.may_be_prepared(setup, v, block));
        return must(
            old && said.prepare.is_some(),
            "C-1",
            "COMMIT without a certificate",
        );
    }
    must(
        said.prepare == Some(block),
        "C-1",
        "COMMIT without own PREPARE",
    )?;
    must(
        state.may_be_prepared(setup, view, block) || setup.is_weak(Weakness::CommitsUnprepared),
        "C-1",
        "COMMIT without a certificate of its view",
    )
}

/// VC-1, VC-2, VC-3: who may leave for which view.
fn ask(setup: &Setup, state: &State, who: usize, view: View) -> Result<(), Why> {
    must(
        view > state.at[who],
        "VC-1",
        "VIEW-CHANGE not above its view",
    )?;
    let before = view - 1;
    let asked = state.latest_request(who).0;
    // VC-1: the time of an open view, which it is in or may have entered, is up.
    let ran_out = state.may_be_open(setup, before);
    // VC-2: that of a view asked for runs as soon as a quorum asks.
    let waited = || asked == before && state.asking(setup, before, None) >= setup.quorum();
    // VC-3
    let pulled = || state.asking(setup, view, Some(who)) > setup.bearable();
    must(
        ran_out || waited() || pulled(),
        "VC-3",
        "a VIEW-CHANGE for a view that too few ask for",
    )
}

/// VC-1, P-2: the claim is the highest certificate known, and hides none that a COMMIT stands on.
fn claims(setup: &Setup, state: &State, who: usize, view: View, claim: Claim) -> Result<(), Why> {
    if let Some(certificate) = claim {
        must(
            state.exists(setup, view, certificate),
            "P-2",
            "a claim of a certificate that cannot be",
        )?;
    }
    if setup.is_weak(Weakness::HidesCertificate) {
        return Ok(());
    }
    let (asked, before) = state.latest_request(who);
    // C-1: a COMMIT stands on a certificate of its view.
    let committed = state
        .latest_commit(who)
        .filter(|_| !setup.is_weak(Weakness::CommitsUnprepared));
    let bound = before.map(|c| c.view).max(committed);
    let claimed = claim.map(|c| c.view);
    must(claimed >= bound, "VC-1", "a claim that hides a certificate")?;
    // Certificates are made in the view that one is in: none of views that were left comes later.
    must(
        claim == before || claimed >= Some(asked),
        "P-2",
        "a claim of a view that had been left",
    )
}

/// NV-1, NV-2: the primary opens the view that it asked for, once, with what the claims give.
fn open(setup: &Setup, state: &State, who: usize, view: View, choice: Claim) -> Result<(), Why> {
    must(state.opened(view).is_none(), "J-2", "a second NEW-VIEW")?;
    let waits = state.at[who] == view && state.said(who, view).asked.is_some();
    must(
        view > 0 && (waits || setup.is_loose()),
        "NV-1",
        "a view that its primary does not ask for",
    )?;
    must(
        state.may_choose(setup, view, choice),
        "NV-2",
        "a choice that no quorum of claims gives",
    )
}

/// What the state is once this has been said.
pub fn apply(setup: &Setup, state: &mut State, step: &Step) {
    let (who, view) = match *step {
        Step::Propose { block } => {
            if let Some(led) = state.led_mut(block.view) {
                led.proposed = Some(block);
            }
            (setup.primary(block.view), block.view)
        }
        Step::OpenView { view, choice } => {
            if let Some(led) = state.led_mut(view) {
                led.opened = Some(choice.map(|certificate| certificate.block));
            }
            if setup.is_loose() {
                return; // whoever it is
            }
            (setup.primary(view), view)
        }
        Step::Prepare { who, view, block } => {
            state.voted_below |= view < state.latest_request(who).0;
            if let Some(said) = state.said_mut(who, view) {
                said.prepare = Some(block);
            }
            (who, view)
        }
        Step::Commit { who, view, block } => {
            state.voted_below |= view < state.latest_request(who).0;
            if let Some(said) = state.said_mut(who, view) {
                said.commit = Some(block);
            }
            (who, view)
        }
        Step::AskForView { who, view, claim } => {
            if let Some(said) = state.said_mut(who, view) {
                said.asked = Some(claim);
            }
            (who, view)
        }
    };
    if let Some(at) = state.at.get_mut(who) {
        *at = (*at).max(view);
    }
}

/// All steps that are enabled in views up to this one. A faulty primary has two blocks to offer.
pub fn steps(setup: &Setup, state: &State, highest: View) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut blocks = Vec::new();
    for view in 0..=highest {
        let numbers = if setup.has_honest_primary(view) { 1 } else { 2 };
        blocks.extend((0..numbers).map(|number| Block { view, number }));
        let block = Block { view, number: 0 };
        let choices = [None]
            .into_iter()
            .chain((0..view).flat_map(|lower| state.certificates_of(setup, lower).map(Some)));
        let claims: Vec<Claim> = choices.collect();
        if setup.has_honest_primary(view) {
            if !setup.is_loose() {
                steps.push(Step::Propose { block });
            }
            steps.extend(claims.iter().map(|choice| Step::OpenView {
                view,
                choice: *choice,
            }));
        }
        for who in setup.honest() {
            for block in blocks.iter().copied() {
                steps.push(Step::Prepare { who, view, block });
                steps.push(Step::Commit { who, view, block });
            }
            steps.extend(claims.iter().map(|claim| Step::AskForView {
                who,
                view,
                claim: *claim,
            }));
        }
    }
    steps.retain(|step| enabled(setup, state, step).is_ok());
    steps
}
