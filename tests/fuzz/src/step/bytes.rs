//! The input, read as choices.

/// What is left of the input. Past its end every choice is the first one.
#[derive(Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// All of it.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left to choose.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `n`, which is small and not 0.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    /// A place in a list, if it has any; the newest ones come first.
    pub fn place(&mut self, length: usize) -> Option<usize> {
        let back = usize::from(self.byte()).checked_rem(length)?;
        Some(length - 1 - back)
    }

    /// Validators as bits; no bit means all.
    pub fn some_of(&mut self, n: usize) -> Vec<usize> {
        let bits = self.byte();
        let chosen = |i: &usize| bits.trailing_zeros() as usize >= n || bits >> i & 1 == 1;
        (0..n).filter(chosen).collect()
    }
}
