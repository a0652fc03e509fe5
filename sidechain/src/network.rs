//! The first blocks of all chains of a network, as every node, client and auditor computes them from
//! its genesis.

use certchain_config::{Genesis, catalogue::SideChain};
use certchain_ledger::{genesis::GenesisBlock, state::StateError};

use crate::{anchor::side_chain_leaves, genesis::genesis_leaves};

/// The genesis blocks of main and of the side chains that it creates.
#[derive(Clone, Debug)]
pub struct NetworkGenesis {
    /// Main's. Its state names those of the side chains.
    pub main: GenesisBlock,
    /// The side chains', in the order of [`SideChain::ALL`].
    pub sides: Vec<(SideChain, GenesisBlock)>,
}

impl NetworkGenesis {
    /// Computes the blocks.
    ///
    /// # Errors
    /// If the state tree refuses the leaves, which a valid genesis never causes.
    pub fn new(genesis: &Genesis) -> Result<Self, StateError> {
        let mut sides = Vec::with_capacity(SideChain::ALL.len());
        for side in SideChain::ALL {
            let leaves = genesis_leaves(side, &genesis.catalogue);
            sides.push((side, GenesisBlock::side(genesis, side.name(), leaves)?));
        }
        let blocks: Vec<_> = sides
            .iter()
            .map(|(side, block)| (*side, block.id()))
            .collect();
        let main = GenesisBlock::main_with(genesis, side_chain_leaves(genesis, &blocks))?;
        Ok(Self { main, sides })
    }

    /// A side chain's block.
    pub fn side(&self, side: SideChain) -> Option<&GenesisBlock> {
        self.sides
            .iter()
            .find(|(chain, _)| *chain == side)
            .map(|(_, block)| block)
    }

    /// The block of a chain by its name.
    pub fn named(&self, name: &str) -> Option<&GenesisBlock> {
        if name == certchain_config::node::MAIN {
            return Some(&self.main);
        }
        let side = SideChain::ALL
            .into_iter()
            .find(|side| side.name() == name)?;
        self.side(side)
    }
}
