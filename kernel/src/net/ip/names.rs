//! Who is asked for names: /proc/net/pnp, which /etc/resolv.conf leads to (Linux' net/ipv4/ipconfig.c; resolv.conf(5)).
//!
//! What the command said counts before what the lease says. Who reads while an address is on its way waits for it, as dialing
//! does. Lock: `names`, a leaf.
use super::{Network, PATIENCE};
use crate::sync::Wait;
use crate::time;
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
    /// Waits a little for a lease; a router's servers do as well, when a lease has had its time.
    fn await_servers(&self) -> Result<(), Errno> {
        // The user network's address is known before anybody has told names.
        let told = || self.address().is_some() && (!self.settings.user || self.has_names());
        let enough = || told() || self.discovery.has_servers_alone();
        let how = Wait::interruptible().deadline(Some(time::now() + PATIENCE));
        self.arrival.wait_until(how, || enough().then_some(()))
    }

    /// Whether a lease has told name servers, or there is nobody to tell.
    pub(super) fn has_names(&self) -> bool {
        !self.names.lock().servers.is_empty()
    }

    /// The lines of /proc/net/pnp.
    ///
    /// # Errors
    /// ERESTARTSYS while waiting.
    pub fn resolver(&self) -> Result<String, Errno> {
        match self.await_servers() {
            // The name server may be known all the same.
            Ok(()) | Err(Errno::ETIMEDOUT) => {}
            Err(errno) => return Err(errno),
        }
        let names = self.names.lock().clone();
        let told = &self.settings;
        let by_dhcp = told.address.is_none() && names.server.is_some();
        let mut servers = told.servers.clone();
        if servers.is_empty() {
            servers = names.servers;
            // And those of routers, as far as there is room.
            let others = self.discovery.servers();
            servers.extend(others.into_iter().take(servers.remaining_capacity()));
        }
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
                let routers = self.discovery.search();
                let search = names.search.as_ref().or(routers.as_ref());
                if let Some(search) = search.or(told.search.as_ref()) {
                    line("search", search);
                }
            }
        }
        for server in &servers {
            match server {
                // With the interface that leads to it.
                IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                    line("nameserver", &format_args!("{ip}%eth0"));
                }
                ip => line("nameserver", ip),
            }
        }
        if let Some(server) = &names.server {
            line("bootserver", server);
        }
        Ok(text)
    }
}
