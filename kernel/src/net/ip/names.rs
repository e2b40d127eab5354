//! Who is asked for names: /proc/net/pnp, which /etc/resolv.conf leads to (Linux' net/ipv4/ipconfig.c; resolv.conf(5)).
//!
//! What the command said counts before what the lease says. Who reads while an address is on its way waits for it, as dialing
//! does. Lock: `names`, a leaf.
use super::Network;
use alloc::format;
use alloc::string::String;
use arrayvec::ArrayVec;
use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr};
use ringo_abi::Errno;
use ringo_net::settings::SERVERS;

/// What a lease says beside the address.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Names {
    /// Name servers, the first to be asked first.
    pub servers: ArrayVec<IpAddr, SERVERS>,
    /// Our own domain.
    pub domain: Option<String>,
    /// Where names without dots are looked for, separated by spaces.
    pub search: Option<String>,
    /// Who gave the lease; none without one.
    pub server: Option<Ipv4Addr>,
}

impl Network {
    /// The lines of /proc/net/pnp.
    ///
    /// # Errors
    /// ERESTARTSYS while waiting.
    pub fn resolver(&self) -> Result<String, Errno> {
        match self.await_address() {
            // The name server may be known all the same.
            Ok(_) | Err(Errno::ENETUNREACH) => {}
            Err(errno) => return Err(errno),
        }
        let names = self.names.lock().clone();
        let told = &self.settings;
        let by_dhcp = told.address.is_none() && names.server.is_some();
        let servers = match told.servers.is_empty() {
            true => &names.servers,
            false => &told.servers,
        };
        let mut text = String::from(if by_dhcp {
            "#PROTO: DHCP\n"
        } else {
            "#MANUAL\n"
        });
        let mut line =
            |word: &str, value: &dyn Display| text.push_str(&format!("{word} {value}\n"));
        match &told.domains {
            Some(domains) if domains.is_empty() => {}
            Some(domains) => line("search", domains),
            None => {
                if let Some(domain) = &names.domain {
                    line("domain", domain);
                }
                if let Some(search) = names.search.as_ref().or(told.search.as_ref()) {
                    line("search", search);
                }
            }
        }
        servers.iter().for_each(|server| line("nameserver", server));
        if let Some(server) = &names.server {
            line("bootserver", server);
        }
        Ok(text)
    }
}
