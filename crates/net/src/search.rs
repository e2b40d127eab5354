//! Search domains as DHCP brings them: option 15, one name as text (RFC 2132, 3.17), and 119, a list in the encoding of
//! DNS with its compression (RFC 3397).
//!
//! They become a line of a file that programs read, so a name is letters, digits, hyphens, underscores and dots, or is left
//! out.
use alloc::string::String;

/// The most bytes of all names: what resolvers read of a line.
const MOST: usize = 256;

fn plain(label: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    !label.is_empty() && label.iter().all(allowed)
}

/// The name in option 15.
pub fn domain(option: &[u8]) -> Option<String> {
    // Some servers end it with a zero.
    let name = option.strip_suffix(b"\0").unwrap_or(option);
    let name = name.strip_suffix(b".").unwrap_or(name);
    let good = name.len() <= MOST && name.split(|&byte| byte == b'.').all(plain);
    good.then(|| String::from_utf8_lossy(name).into_owned())
}

/// The names in option 119, separated by spaces.
pub fn list(option: &[u8]) -> Option<String> {
    let (mut all, mut at) = (String::new(), 0);
    while at < option.len() {
        let (name, next) = name(option, at)?;
        if all.len() + name.len() >= MOST {
            break;
        }
        if !all.is_empty() {
            all.push(' ');
        }
        all.push_str(&name);
        at = next;
    }
    (!all.is_empty()).then_some(all)
}

/// The names of a router's option (RFC 8106, 5.2), which ends in zeros.
pub fn padded_list(option: &[u8]) -> Option<String> {
    let end = option.iter().rposition(|byte| *byte != 0)?;
    // The last name's own zero stays.
    list(option.get(..end + 2)?)
}

/// The name at `at`, and where the next one begins.
fn name(option: &[u8], mut at: usize) -> Option<(String, usize)> {
    const POINTER: u8 = 0xc0;
    let (mut name, mut next) = (String::new(), None);
    loop {
        match *option.get(at)? {
            0 => break,
            high @ POINTER.. => {
                let to = usize::from(high & !POINTER) << 8 | usize::from(*option.get(at + 1)?);
                next = next.or(Some(at + 2));
                // Only back, so that it ends.
                if to >= at {
                    return None;
                }
                at = to;
            }
            length @ 1..64 => {
                let end = at + 1 + usize::from(length);
                let label = option.get(at + 1..end).filter(|label| plain(label))?;
                if name.len() + label.len() >= MOST {
                    return None;
                }
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(core::str::from_utf8(label).ok()?);
                at = end;
            }
            _ => return None,
        }
    }
    (!name.is_empty()).then_some((name, next.unwrap_or(at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_text() {
        assert_eq!(domain(b"example.org").as_deref(), Some("example.org"));
        assert_eq!(domain(b"lan.\0").as_deref(), Some("lan"));
        for bad in [
            &b""[..],
            b".",
            b"a b",
            b"a\nnameserver",
            b"a..b",
            &[b'a'; 300],
        ] {
            assert_eq!(domain(bad), None);
        }
    }

    #[test]
    fn the_list_of_the_standard_is_read() {
        // RFC 3397, 3.: eng.apple.com. and marketing.apple.com.
        let option = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04";
        assert_eq!(
            list(option).as_deref(),
            Some("eng.apple.com marketing.apple.com")
        );
    }

    #[test]
    fn lists_that_lead_nowhere_are_refused() {
        for bad in [
            &b"\xc0\x00"[..],
            b"\x03eng",
            b"\x01a\xc0\x05",
            b"\xc0",
            b"\x80a",
            b"\0",
        ] {
            assert_eq!(list(bad), None, "{bad:?}");
        }
        // Back and forth again: each pointer must lead back, but labels lead on.
        assert_eq!(list(b"\x01a\xc0\x00"), None);
    }
}
