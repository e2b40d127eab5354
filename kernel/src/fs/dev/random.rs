//! Random numbers (random(7), getrandom(2)): ChaCha20 streams, one a CPU.
//!
//! The host's 32 bytes and the processor's own generator (RDRAND, if it has one) make the first key; each CPU's stream
//! gets a key of its own from that. After every request the key of what gave it is replaced by its own output, so that what
//! was given cannot be computed from what is in memory later (fast key erasure, as Linux drivers/char/random.c); the
//! bundle's copy of the host's bytes is wiped (program/boot.rs).
use crate::cpu::percpu;
use crate::memory::user::UserIo;
use crate::sync::SpinLock;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use ringo_abi::SysResult;
use x86::instructions::random::RdRand;

/// Bits of entropy, as Linux tells them since it uses BLAKE2s.
pub const BITS: u32 = 256;
/// Streams; CPUs beyond share them.
const STREAMS: usize = 64;

static ROOT: SpinLock<Option<ChaCha20Rng>> = SpinLock::new(None);
static STREAM: [SpinLock<Option<ChaCha20Rng>>; STREAMS] = [const { SpinLock::new(None) }; STREAMS];

fn mix_rdrand(seed: &mut [u8; 32]) {
    let Some(generator) = RdRand::new() else {
        return;
    };
    for word in seed.as_chunks_mut::<8>().0 {
        if let Some(value) = generator.get_u64() {
            *word = (u64::from_le_bytes(*word) ^ value).to_le_bytes();
        }
    }
}

/// Takes the host's randomness.
pub fn seed(entropy: &[u8; 32]) {
    let mut seed = *entropy;
    mix_rdrand(&mut seed);
    *ROOT.lock() = Some(ChaCha20Rng::from_seed(seed));
}

fn new_stream() -> ChaCha20Rng {
    let mut seed = [0; 32];
    if let Some(root) = &mut *ROOT.lock() {
        give(root, &mut seed);
    }
    mix_rdrand(&mut seed);
    ChaCha20Rng::from_seed(seed)
}

/// Fills `bytes`.
pub fn fill(bytes: &mut [u8]) {
    let id = percpu::this_cpu().id() % STREAMS;
    let mut stream = STREAM[id].lock();
    give(stream.get_or_insert_with(new_stream), bytes);
}

/// Fills `bytes`, and replaces the generator's key.
fn give(generator: &mut ChaCha20Rng, bytes: &mut [u8]) {
    generator.fill_bytes(bytes);
    let mut key = [0; 32];
    generator.fill_bytes(&mut key);
    *generator = ChaCha20Rng::from_seed(key);
}

/// Eight random bytes, as a number.
pub fn word() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Fills the program's buffers.
///
/// # Errors
/// EFAULT; ERESTARTSYS when a signal comes before the first page.
pub fn fill_user(io: &mut UserIo) -> SysResult {
    let mut chunk = [0; 256];
    let mut done = 0;
    while io.remaining() > 0 {
        let length = io.remaining().min(chunk.len());
        fill(&mut chunk[..length]);
        match io.copy_out(&chunk[..length]) {
            Ok(got) => done += got,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        // Large requests can be interrupted, as on Linux.
        if done % 4096 == 0 && crate::task::signal_pending() {
            break;
        }
    }
    Ok(done)
}
