//! The names in a certificate. rustls judges certificates and does not tell their names.

use crate::model::AlternativeName;

/// `GeneralName` (RFC 5280 section 4.2.1.6).
const MAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The alternative names that are host names, URIs or mail addresses.
pub(super) fn alternative_names(certificate: &[u8]) -> Vec<AlternativeName> {
    let named = |(kind, name)| match kind {
        MAIL => Some(AlternativeName::Mail(name)),
        DNS => Some(AlternativeName::Dns(name)),
        URI => Some(AlternativeName::Uri(name)),
        _ => None,
    };
    names(certificate).into_iter().filter_map(named).collect()
}

/// The alternative names that are host names, in lower case.
pub(super) fn dns_names(certificate: &[u8]) -> Vec<String> {
    names(certificate).iter().filter(|(kind, _)| *kind == DNS).map(|(_, name)| name.to_ascii_lowercase()).collect()
}

/// Those that are text, with their kinds. Names that are no visible ASCII are passed over: nobody could mean them.
fn names(certificate: &[u8]) -> Vec<(u8, String)> {
    let mut rest = general_names(certificate).unwrap_or_default();
    let mut names = Vec::new();
    while let Some((kind, name)) = element(&mut rest) {
        if matches!(kind, MAIL | DNS | URI) && !name.is_empty() && name.iter().all(u8::is_ascii_graphic) {
            names.extend(String::from_utf8(name.to_vec()).map(|name| (kind, name)));
        }
    }
    names
}

fn general_names(mut certificate: &[u8]) -> Option<&[u8]> {
    let mut whole = take(&mut certificate, SEQUENCE)?;
    let mut body = take(&mut whole, SEQUENCE)?;
    let mut extensions = take(&mut body, EXTENSIONS)?;
    let mut extensions = take(&mut extensions, SEQUENCE)?;
    loop {
        let mut extension = take(&mut extensions, SEQUENCE)?;
        if take(&mut extension, OBJECT_IDENTIFIER)? == SUBJECT_ALTERNATIVE_NAME {
            let mut value = take(&mut extension, OCTET_STRING)?;
            return take(&mut value, SEQUENCE);
        }
    }
}

/// The content of the next element with this tag.
fn take<'d>(der: &mut &'d [u8], tag: u8) -> Option<&'d [u8]> {
    loop {
        let (found, content) = element(der)?;
        if found == tag {
            return Some(content);
        }
    }
}

/// The next element: its tag and its content.
fn element<'d>(der: &mut &'d [u8]) -> Option<(u8, &'d [u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f)).filter(|(bytes, _)| bytes.len() <= 4)?;
        rest = after;
        bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *der = rest;
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, &content].concat()
    }

    fn certificate(general_names: &[&[u8]]) -> Vec<u8> {
        let names = wrapped(SEQUENCE, general_names);
        let other = wrapped(SEQUENCE, &[&wrapped(OBJECT_IDENTIFIER, &[&[0x55, 0x1d, 0x0f]]), &[1, 1, 0xff]]);
        let id = wrapped(OBJECT_IDENTIFIER, &[SUBJECT_ALTERNATIVE_NAME]);
        let ours = wrapped(SEQUENCE, &[&id, &[1, 1, 0], &wrapped(OCTET_STRING, &[&names])]);
        let extensions = wrapped(EXTENSIONS, &[&wrapped(SEQUENCE, &[&other, &ours])]);
        let body = wrapped(SEQUENCE, &[&[2, 1, 1], &wrapped(SEQUENCE, &[]), &extensions]);
        wrapped(SEQUENCE, &[&body, &wrapped(SEQUENCE, &[])])
    }

    #[test]
    fn names_of_the_three_kinds_are_read_and_no_others() {
        let dns = wrapped(DNS, &[b"API.example.com"]);
        let (mail, uri) = (wrapped(MAIL, &[b"ci@example.com"]), wrapped(URI, &[b"spiffe://example/ci"]));
        let (address, odd) = (wrapped(0x87, &[&[127, 0, 0, 1]]), wrapped(DNS, &[b"a\0.example.com"]));
        let certificate = certificate(&[&dns, &address, &mail, &odd, &uri]);
        let shown: Vec<_> = alternative_names(&certificate).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["DNS:API.example.com", "email:ci@example.com", "URI:spiffe://example/ci"]);
        assert_eq!(dns_names(&certificate), ["api.example.com"]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_read(bytes: Vec<u8>) {
            alternative_names(&bytes);
        }

        #[test]
        fn a_certificate_that_is_cut_or_changed_is_read_without_harm(cut in 0usize..200, at in 0usize..200, byte: u8) {
            let mut bytes = certificate(&[&wrapped(DNS, &[b"api.example.com"])]);
            let length = bytes.len();
            bytes[at % length] = byte;
            alternative_names(&bytes);
            bytes.truncate(cut % length);
            alternative_names(&bytes);
        }
    }
}
