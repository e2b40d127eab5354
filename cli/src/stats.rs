//! `--stats`: one line of JSON, the host's measurements first, then the guest's.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// What only the host sees.
pub struct Host {
    pub engine: &'static str,
    pub cpus: u32,
    pub memory: u64,
    /// From the start of QEMU to the program's first instruction.
    pub boot: Duration,
    /// The guest's part of it.
    pub guest_boot: Duration,
    /// From there to its end.
    pub run: Duration,
    /// From there until the VM was gone.
    pub end: Duration,
    /// Resident part of the guest's memory at the program's end.
    pub resident: Option<u64>,
    pub exit_code: u8,
}

/// One object; a member that both sides give is the host's.
pub fn render(host: &Host, guest: Option<&[u8]>) -> String {
    let ms = |d: Duration| json!((d.as_secs_f64() * 1e6).round() / 1e3);
    let mut all = Map::new();
    let members = [
        ("engine", json!(host.engine)),
        ("cpus", json!(host.cpus)),
        ("memory_bytes", json!(host.memory)),
        ("exit_code", json!(host.exit_code)),
        (
            "qemu_start_ms",
            ms(host.boot.saturating_sub(host.guest_boot)),
        ),
        ("boot_ms", ms(host.guest_boot)),
        ("run_ms", ms(host.run)),
        ("end_ms", ms(host.end)),
        ("guest_resident_bytes", json!(host.resident)),
    ];
    for (key, value) in members {
        all.insert(key.into(), value);
    }
    if let Some(Ok(Value::Object(guest))) = guest.map(serde_json::from_slice::<Value>) {
        for (key, value) in guest {
            all.entry(key).or_insert(value);
        }
    }
    Value::Object(all).to_string()
}

/// The resident bytes of the mapping that is the guest's memory, from the text of /proc/PID/smaps.
pub fn resident(smaps: &str, memory: u64) -> Option<u64> {
    let mut mappings: Vec<(u64, u64)> = Vec::new();
    for line in smaps.lines() {
        if let Some(size) = line.strip_prefix("Size:") {
            mappings.push((kilobytes(size)?, 0));
        } else if let Some(size) = line.strip_prefix("Rss:") {
            mappings.last_mut()?.1 = kilobytes(size)?;
        }
    }
    // Its size is known exactly, unless the system merged it with a neighbour. Over 3 GiB it is still one mapping.
    let exact = mappings.iter().filter(|(size, _)| *size == memory);
    exact
        .max_by_key(|(_, rss)| *rss)
        .or_else(|| mappings.iter().max())
        .map(|&(_, rss)| rss)
}

fn kilobytes(text: &str) -> Option<u64> {
    text.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|n| n * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_memory_is_found_by_its_size() {
        let smaps = "7f00-7f01 rw-p 0 00:00 0\nSize:   1048576 kB\nRss:  12 kB\nPss: 1 kB\n7f02-7f03 rw-p\nSize: 16384 kB\nRss: 8192 kB\n";
        assert_eq!(resident(smaps, 16 << 20), Some(8192 << 10));
        assert_eq!(resident(smaps, 32 << 20), Some(12 << 10));
        assert_eq!(resident("", 1), None);
    }

    #[test]
    fn the_line_is_one_object() {
        let host = Host {
            engine: "kvm",
            cpus: 2,
            memory: 1 << 20,
            boot: Duration::from_micros(60_500),
            guest_boot: Duration::from_micros(500),
            run: Duration::from_millis(1),
            end: Duration::ZERO,
            resident: None,
            exit_code: 3,
        };
        let line = render(&host, Some(br#"{"sites":"40/40","engine":"lies"}"#));
        let value: Value = serde_json::from_str(&line).expect("JSON");
        assert!(!line.contains('\n'));
        assert_eq!(
            (&value["qemu_start_ms"], &value["engine"]),
            (&json!(60.0), &json!("kvm"))
        );
        assert_eq!(value["sites"], "40/40");
        assert!(render(&host, Some(b"not JSON")).starts_with('{'));
    }
}
