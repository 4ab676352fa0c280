//! What a device tells of itself (volume 2, 2-4.2.3; volume 1, 5-2).

use std::net::{IpAddr, Ipv4Addr};

use dongson_event::Event;

use super::super::super::le;
use super::super::super::wire::{Cursor, text};

/// An item of a list of identities: version, the device's address in network order, identity, state.
pub(super) fn listed(event: &mut Event, bytes: &[u8]) -> Option<()> {
    let address = bytes.get(2..18)?;
    let four: [u8; 4] = *address.get(4..)?.first_chunk()?;
    event.set("dongson.enip.identity.ip", IpAddr::from(Ipv4Addr::from(four)));
    let rest = described(event, bytes.get(18..)?)?;
    event.set_some("dongson.enip.identity.state", rest.first().copied());
    Some(())
}

/// The attributes of the identity object, in their order; what follows them is given back.
pub(super) fn described<'a>(event: &mut Event, bytes: &'a [u8]) -> Option<&'a [u8]> {
    event.set("dongson.enip.identity.vendor_id", le::u16(bytes, 0)?);
    event.set("dongson.enip.identity.device_type", le::u16(bytes, 2)?);
    event.set("dongson.enip.identity.product_code", le::u16(bytes, 4)?);
    let [major, minor] = bytes.get(6..)?.first_chunk::<2>()?;
    event.set("dongson.enip.identity.revision", format!("{major}.{minor}"));
    event.set("dongson.enip.identity.status", le::u16(bytes, 8)?);
    event.set("dongson.enip.identity.serial", format!("{:08x}", le::u32(bytes, 10)?));
    let mut cursor = Cursor::new(bytes.get(14..)?);
    event.set("dongson.enip.identity.name", text(cursor.vec8()?, 64));
    Some(cursor.rest())
}
