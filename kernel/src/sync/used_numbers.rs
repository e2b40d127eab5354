//! Which numbers of a table are used: a bit each.
//!
//! The bits stand in the table itself, all zero at first: a table that is a static costs neither room in the kernel's image nor
//! memory before its numbers are used. Words from `reached` on have never held a bit, so that walks end where the numbers do.
use ringo_abi::Errno;

/// Used numbers below `64 * WORDS`, or reserved for what is to come.
pub struct UsedNumbers<const WORDS: usize> {
    words: [u64; WORDS],
    /// Words from this one on were never used.
    reached: usize,
    /// There is no free number in the words before this one.
    full: usize,
}

impl<const WORDS: usize> UsedNumbers<WORDS> {
    /// None is used.
    pub const fn new() -> Self {
        Self {
            words: [0; WORDS],
            reached: 0,
            full: 0,
        }
    }

    /// Takes the lowest free number not below `min` and below `limit`. O(1) for the lowest of all but for words that became
    /// full since.
    ///
    /// # Errors
    /// EMFILE when there is none.
    pub fn take(&mut self, min: usize, limit: usize) -> Result<usize, Errno> {
        let limit = limit.min(64 * WORDS);
        let first = (min / 64).max(self.full);
        let mut word = first;
        let mut mask = if first * 64 > min {
            !0
        } else {
            !0u64 << (min % 64)
        };
        let number = loop {
            if word * 64 >= limit {
                return Err(Errno::EMFILE);
            }
            let free = !self.words[word] & mask;
            if free != 0 {
                break word * 64 + free.trailing_zeros() as usize;
            }
            word += 1;
            mask = !0;
        };
        if number >= limit {
            return Err(Errno::EMFILE);
        }
        if min <= self.full * 64 {
            // Nothing free was passed over.
            self.full = word;
        }
        self.set(number);
        Ok(number)
    }

    /// Takes this number, which is below `64 * WORDS`.
    pub fn set(&mut self, number: usize) {
        self.words[number / 64] |= 1 << (number % 64);
        self.reached = self.reached.max(number / 64 + 1);
    }

    /// Gives a number back.
    pub fn free(&mut self, number: usize) {
        self.words[number / 64] &= !(1 << (number % 64));
        self.full = self.full.min(number / 64);
    }

    /// Whether a number is used.
    pub fn is_used(&self, number: usize) -> bool {
        self.words
            .get(number / 64)
            .is_some_and(|word| word & 1 << (number % 64) != 0)
    }

    /// All used numbers were below this one, a multiple of 64.
    pub fn room(&self) -> usize {
        self.reached * 64
    }

    /// How many are used.
    pub fn count(&self) -> usize {
        let used = &self.words[..self.reached];
        used.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The lowest used number not below `from`.
    pub fn next(&self, from: usize) -> Option<usize> {
        let mut mask = !0u64 << (from % 64);
        for word in from / 64..self.reached {
            let bits = self.words[word] & mask;
            if bits != 0 {
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
            mask = !0;
        }
        None
    }
}
