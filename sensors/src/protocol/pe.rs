//! Headers of Windows programs (Microsoft PE Format, "File Headers" to "Section Table").
//!
//! In: the first bytes of a file. Out: `file.pe.*` and `dongson.file.pe.*` on its event, as far as the bytes reach.
//! Memory: section names, at most [`MAX_SECTIONS`].

use dongson_event::Event;

use super::wire::text;

/// Sections whose names are kept.
const MAX_SECTIONS: u16 = 32;

/// A little-endian reader at fixed offsets.
#[derive(Debug, Clone, Copy)]
struct At<'a>(&'a [u8]);

impl<'a> At<'a> {
    fn u16(self, at: usize) -> Option<u16> {
        self.0.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    fn u32(self, at: usize) -> Option<u32> {
        self.0.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn from(self, at: usize) -> Option<At<'a>> {
        self.0.get(at..).map(At)
    }
}

/// Adds what the headers say, if `start` is the start of a program.
pub(super) fn describe(event: &mut Event, start: &[u8]) {
    if start.starts_with(b"MZ") {
        // What is missing of a cut header is left out.
        let _whole = headers(event, At(start));
    }
}

fn headers(event: &mut Event, start: At<'_>) -> Option<()> {
    let at = usize::try_from(start.u32(60)?).ok()?;
    let file = start.from(at).filter(|pe| pe.0.starts_with(b"PE\0\0"))?.from(4)?;
    let (machine, sections, flags) = (file.u16(0)?, file.u16(2)?, file.u16(18)?);
    event.set("file.pe.architecture", architecture(machine));
    event.set("dongson.file.pe.compiled", i64::from(file.u32(4)?));
    event.set("dongson.file.pe.is_executable", flags & 2 != 0);
    event.set("dongson.file.pe.is_64bit", flags & 0x100 == 0);
    let size = usize::from(file.u16(16)?);
    let optional = file.from(20)?;
    if size > 0 {
        describe_optional(event, optional);
    }
    let table = optional.from(size)?;
    let names = (0..sections.min(MAX_SECTIONS)).map_while(|index| {
        let name = table.from(usize::from(index) * 40)?.0.get(..8)?;
        Some(text(name.split(|byte| *byte == 0).next().unwrap_or_default(), 8))
    });
    event.set("dongson.file.pe.sections", names.collect::<Vec<_>>());
    Some(())
}

fn describe_optional(event: &mut Event, header: At<'_>) -> Option<()> {
    let wide = header.u16(0)? == 0x20b;
    event.set("dongson.file.pe.os_version", format!("{}.{}", header.u16(40)?, header.u16(42)?));
    event.set("dongson.file.pe.subsystem", subsystem(header.u16(68)?));
    let flags = header.u16(70)?;
    event.set("dongson.file.pe.aslr", flags & 0x40 != 0);
    event.set("dongson.file.pe.code_integrity", flags & 0x80 != 0);
    event.set("dongson.file.pe.dep", flags & 0x100 != 0);
    event.set("dongson.file.pe.seh", flags & 0x400 == 0);
    let directories = header.from(if wide { 112 } else { 96 })?;
    let has = |index: usize| Some(directories.u32(8 * index)? != 0 && directories.u32(8 * index + 4)? != 0);
    event.set("dongson.file.pe.has_exports", has(0)?);
    event.set("dongson.file.pe.has_imports", has(1)?);
    event.set("dongson.file.pe.has_certificates", has(4)?);
    event.set("dongson.file.pe.has_debug_data", has(6)?);
    Some(())
}

fn architecture(machine: u16) -> String {
    match machine {
        0x014c => "I386",
        0x8664 => "AMD64",
        0x01c0 => "ARM",
        0x01c4 => "ARMNT",
        0xaa64 => "ARM64",
        0x0200 => "IA64",
        0x0ebc => "EBC",
        0x01f0 => "POWERPC",
        0x5032 => "RISCV32",
        0x5064 => "RISCV64",
        other => return format!("unknown-{other}"),
    }
    .to_owned()
}

fn subsystem(number: u16) -> String {
    match number {
        0 => "UNKNOWN",
        1 => "NATIVE",
        2 => "WINDOWS_GUI",
        3 => "WINDOWS_CUI",
        7 => "POSIX_CUI",
        9 => "WINDOWS_CE_GUI",
        10 => "EFI_APPLICATION",
        11 => "EFI_BOOT_SERVICE_DRIVER",
        12 => "EFI_RUNTIME_DRIVER",
        13 => "EFI_ROM",
        14 => "XBOX",
        16 => "WINDOWS_BOOT_APPLICATION",
        other => return format!("unknown-{other}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_of_a_made_up_program() {
        let mut bytes = vec![0_u8; 64 + 4 + 20 + 224 + 40];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[60] = 64;
        bytes[64..68].copy_from_slice(b"PE\0\0");
        bytes[68..72].copy_from_slice(&[0x4c, 0x01, 1, 0]);
        bytes[84] = 224;
        bytes[86..88].copy_from_slice(&[0x02, 0x01]);
        let optional = 88;
        bytes[optional..optional + 2].copy_from_slice(&[0x0b, 1]);
        bytes[optional + 68] = 2;
        bytes[optional + 70..optional + 72].copy_from_slice(&[0x40, 0x01]);
        bytes[312..317].copy_from_slice(b".text");
        let mut event = Event::new();
        describe(&mut event, &bytes);
        assert_eq!(event.text("file.pe.architecture"), Some("I386"));
        assert_eq!(event.text("dongson.file.pe.subsystem"), Some("WINDOWS_GUI"));
        assert_eq!(event.get("dongson.file.pe.sections").map(|names| names.scalars().len()), Some(1));
        assert_eq!(event.get("dongson.file.pe.aslr"), Some(&dongson_event::Value::Bool(true)));
        assert_eq!(event.get("dongson.file.pe.is_64bit"), Some(&dongson_event::Value::Bool(false)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, at in 0..80_u8) {
            let mut start = [b"MZ".to_vec(), vec![0; 58], vec![at, 0, 0, 0], bytes].concat();
            if let Some(place) = start.get_mut(usize::from(at)..usize::from(at) + 4) {
                place.copy_from_slice(b"PE\0\0");
            }
            describe(&mut Event::new(), &start);
        }
    }
}
