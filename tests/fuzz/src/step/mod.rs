//! The consensus engine, driven by a byte string: it chooses what is delivered, lost, doubled and
//! reordered, which timers run out, what nodes answer when, who crashes and comes back with what, and
//! what faulty validators say. The checkers of the simulator watch every step.
//!
//! The first byte chooses who is faulty: nobody, one of four, or all but one. With no more than the
//! protocol bears, everything that is claimed of it must hold. With three of four nothing is claimed
//! but this: the one engine does not panic, contradicts itself in no slot, and halts only for reasons
//! that others gave it.

mod bytes;
mod forge;
mod pool;
mod seat;
mod world;

use certchain_consensus::{Event, TimerId, TimerKind};
use certchain_proto::{Height, View};

use self::{
    bytes::Bytes,
    world::{N, World},
};

/// Choices of one run: what comes after them is not read.
const MOST: usize = 600;

/// Timers that run longer do not run out: a faulty primary may date its block at the end of time.
const LONGEST_WAIT: u64 = 3_600_000;

const TIMERS: [TimerKind; 4] = [
    TimerKind::View,
    TimerKind::Retry,
    TimerKind::Heartbeat,
    TimerKind::Early,
];

/// Runs one input.
pub fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let first = bytes.byte();
    let one = usize::from(first >> 2) % N;
    let faulty: Vec<usize> = match first % 4 {
        0 => Vec::new(),
        1 | 2 => vec![one],
        _ => (0..N).filter(|i| *i != one).collect(),
    };
    let mut world = World::new(&faulty);
    for _ in 0..MOST {
        if bytes.is_empty() || world.over {
            return;
        }
        happen(&mut world, &mut bytes);
    }
}

fn happen(world: &mut World, bytes: &mut Bytes<'_>) {
    let choice = bytes.byte();
    let honest = world.honest();
    let i = honest[usize::from(choice >> 4) % honest.len()];
    match choice % 16 {
        0 | 1 => {
            if let Some(at) = bytes.place(world.seat(i).inbox.len()) {
                let letter = world.seat(i).inbox.remove(at);
                world.deliver(i, letter);
            }
        }
        2 => {
            for letter in std::mem::take(&mut world.seat(i).inbox) {
                world.deliver(i, letter);
            }
        }
        3 => {
            // Lost, or there twice.
            let inbox = &mut world.seat(i).inbox;
            let twice = choice >> 7 == 1;
            match bytes.place(inbox.len()) {
                Some(at) if twice && inbox.len() < 64 => inbox.push(inbox[at].clone()),
                Some(at) => drop(inbox.remove(at)),
                None => {}
            }
        }
        4 => {
            if let Some(at) = bytes.place(world.seat(i).questions.len()) {
                let question = world.seat(i).questions.remove(at);
                let how = bytes.byte();
                world.answer(i, question, how);
            }
        }
        5 => {
            let how = bytes.byte();
            for question in std::mem::take(&mut world.seat(i).questions) {
                world.answer(i, question, how);
            }
        }
        6 | 7 => {
            let kind = TIMERS[bytes.below(TIMERS.len())];
            let soon = world.now + LONGEST_WAIT;
            let timers = &mut world.seat(i).timers;
            if let Some((id, at)) = timers.get(&kind).copied()
                && at.get() <= soon
            {
                timers.remove(&kind);
                world.now = world.now.max(at.get());
                world.step(i, Event::Timer(id));
            }
        }
        8 => world.step(
            i,
            Event::WorkChanged {
                pending: choice >> 7 == 0,
            },
        ),
        9 => crash(world, bytes, i),
        10 => world.now += u64::from(bytes.byte()) * 40,
        11 => {
            let how = bytes.byte();
            world.calm(1 + usize::from(how >> 4), how & 0xf);
        }
        12 => odd(world, bytes, i),
        _ => forge::forge(world, bytes),
    }
}

/// Processes end and disks fail.
fn crash(world: &mut World, bytes: &mut Bytes<'_>, i: usize) {
    let how = bytes.byte();
    match how % 8 {
        0 | 1 => world.restart(i),
        2 => world.seat(i).disk.torn = Some(usize::from(how >> 3) % 5),
        3 => {
            world.seat(i).compact();
            world.restart(i);
        }
        4 => {
            let full = !world.seat(i).disk.full;
            world.seat(i).disk.full = full;
            if !full {
                world.take(i, certchain_consensus::Output::default());
            }
        }
        5 => {
            // The ledger comes back without its last blocks; one validator's only.
            let loser = world.honest()[0];
            let seat = world.seat(i);
            if i == loser {
                seat.stored = seat.stored.saturating_sub(usize::from(how >> 3) % 4).max(1);
            }
            world.restart(i);
        }
        6 => world.forget(i),
        _ => {
            for i in world.honest() {
                world.restart(i);
            }
        }
    }
}

/// What a node would not say, or says too late.
fn odd(world: &mut World, bytes: &mut Bytes<'_>, i: usize) {
    let status = world.seat(i).engine.status();
    let near = bytes.byte();
    let height = Height::new(status.height.get().saturating_sub(u64::from(near % 2)));
    let view = View::new(status.view.get().saturating_sub(u32::from(near >> 1) % 2));
    let kind = TIMERS[usize::from(near >> 2) % TIMERS.len()];
    let known = bytes.place(world.pool.headers.len());
    let header = known.map(|at| world.pool.headers[at].digest());
    let event = match (near >> 4, header) {
        (0..6, _) => Event::Timer(TimerId { kind, height, view }),
        (6 | 7, _) => Event::NothingToPropose { height, view },
        (8, _) => Event::Applied {
            height: status.height,
        },
        (9, _) => Event::AmnesiaCleared {
            height: status.height,
        },
        // Not even a faulty colleague can make a node say this.
        (10 | 11, Some(header)) if !world.sound => Event::BodyReady { header },
        (12, Some(header)) if !world.sound => Event::BodyInvalid {
            header,
            fault: certchain_consensus::BodyFault::History,
        },
        _ => return,
    };
    world.step(i, event);
}
