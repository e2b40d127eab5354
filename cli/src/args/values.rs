//! Values of options that have a form of their own.

use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let shift = match suffix.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "ki" | "kb" | "kib" => 10,
            "m" | "mi" | "mb" | "mib" => 20,
            "g" | "gi" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err("write it as 64M or 2G".into()),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| "write it as 64M or 2G".to_owned())?;
        let bytes = number.checked_mul(1 << shift).ok_or("that is too much")?;
        match bytes {
            ..0x80_0000 if shift == 0 => {
                Err(format!("that is {number} bytes; did you mean {number}M?"))
            }
            ..0x80_0000 => Err("at least 8M, please".into()),
            0x100_0000_0000.. => Err("less than 1T, please".into()),
            _ => Ok(Size(bytes)),
        }
    }
}

/// A published port, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    pub address: Option<std::net::IpAddr>,
    pub host: u16,
    pub guest: u16,
    pub udp: bool,
}

impl FromStr for Publish {
    type Err = String;

    fn from_str(text: &str) -> Result<Publish, String> {
        const FORM: &str = "write it as 8080:80, 127.0.0.1:8080:80 or 53:53/udp";
        let port = |text: &str| text.parse::<u16>().ok().filter(|&p| p != 0).ok_or(FORM);
        let (ports, udp) = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), false),
            Some((ports, "udp")) => (ports, true),
            Some(_) => return Err(FORM.into()),
        };
        let (front, guest) = ports.rsplit_once(':').ok_or(FORM)?;
        let (address, host) = match front.rsplit_once(':') {
            None => (None, front),
            Some((ip, host)) => {
                let ip = ip.trim_start_matches('[').trim_end_matches(']');
                (Some(ip.parse().map_err(|_| FORM)?), host)
            }
        };
        Ok(Publish {
            address,
            host: port(host)?,
            guest: port(guest)?,
            udp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("16M", 16 << 20),
            ("512m", 512 << 20),
            ("2G", 2 << 30),
            ("65536k", 64 << 20),
            ("1GiB", 1 << 30),
            ("2Gi", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in [
            "",
            "M",
            "16X",
            "-1M",
            "1.5G",
            "0",
            "4M",
            "9999999T",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert!("512".parse::<Size>().expect_err("bytes").contains("512M"));
    }

    #[test]
    fn published_ports() {
        let publish = |text: &str| text.parse::<Publish>();
        assert_eq!(
            publish("8080:80"),
            Ok(Publish {
                address: None,
                host: 8080,
                guest: 80,
                udp: false
            })
        );
        let local = Some("127.0.0.1".parse().expect("an address"));
        assert_eq!(
            publish("127.0.0.1:53:54/udp"),
            Ok(Publish {
                address: local,
                host: 53,
                guest: 54,
                udp: true
            })
        );
        assert!(publish("[::1]:1:2/tcp").is_ok());
        for text in [
            "", "80", "80:", ":80", "a:b", "0:80", "80:70000", "x:1:2", "1:2/sctp",
        ] {
            assert!(publish(text).is_err(), "{text}");
        }
    }
}
