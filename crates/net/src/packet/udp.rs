//! UDP datagrams (RFC 768).
use super::{Drop, Ip};
use core::net::SocketAddr;
use smoltcp::wire::UdpPacket;

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Its sender.
    pub from: SocketAddr,
    /// Its receiver.
    pub to: SocketAddr,
    /// Its bytes.
    pub data: &'a [u8],
}

/// Looks at a UDP datagram.
///
/// # Errors
/// Malformed, Checksum.
pub fn udp<'a>(ip: &Ip<'a>) -> Result<Datagram<'a>, Drop> {
    let packet = UdpPacket::new_checked(ip.payload).map_err(|_| Drop::Malformed)?;
    if !ip.checked && !packet.verify_checksum(&ip.from.into(), &ip.to.into()) {
        return Err(Drop::Checksum);
    }
    Ok(Datagram {
        from: SocketAddr::new(ip.from, packet.src_port()),
        to: SocketAddr::new(ip.to, packet.dst_port()),
        data: packet.payload(),
    })
}

/// Writes a UDP header into the first [`UDP_HEADER`] bytes of `out`, which has the data behind it.
pub fn write_udp(out: &mut [u8], from: SocketAddr, to: SocketAddr) {
    let length = out.len() as u16;
    let mut packet = UdpPacket::new_unchecked(out);
    packet.set_src_port(from.port());
    packet.set_dst_port(to.port());
    packet.set_len(length);
    packet.fill_checksum(&from.ip().into(), &to.ip().into());
}
