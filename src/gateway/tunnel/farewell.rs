//! The last word to either side of a WebSocket (RFC 6455 section 5.5.1).

use crate::model::Reason;

/// A Close frame to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Farewell {
    pub code: CloseCode,
    pub text: &'static str,
}

/// Of IANA's registry of WebSocket close codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseCode {
    GoingAway = 1001,
    InternalError = 1011,
    Unauthorized = 3000,
    Forbidden = 3003,
}

impl Farewell {
    /// To the upstream: that its other side goes, and nothing about why.
    pub const LEAVING: Self = Self { code: CloseCode::GoingAway, text: "" };
    /// To a caller whose upstream went without a word. Deliberately not 1014 (Bad Gateway), which is registered too:
    /// Chromium and others take it for a breach of the protocol, and tell the page nothing.
    pub const CUT: Self = Self { code: CloseCode::InternalError, text: Reason::UpstreamInvalid.code() };

    /// To the caller: why we end it, by the public reason.
    pub fn saying(reason: Reason) -> Self {
        let public = reason.public();
        let code = match public {
            Reason::GatewayStopping | Reason::TunnelIdle => CloseCode::GoingAway,
            public if public.status() == 403 => CloseCode::Forbidden,
            _ => CloseCode::Unauthorized,
        };
        Self { code, text: public.code() }
    }

    /// As a server sends it; masked with a key, as a client has to (section 5.3).
    pub fn frame(self, mask: Option<[u8; 4]>) -> Vec<u8> {
        // A control frame holds at most 125 bytes, which a test holds the codes of reasons to.
        let payload = [&(self.code as u16).to_be_bytes()[..], self.text.as_bytes()].concat();
        let length = u8::try_from(payload.len()).unwrap_or(125);
        match mask {
            None => [&[0x88, length][..], &payload].concat(),
            Some(key) => {
                let masked: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
                [&[0x88, 0x80 | length][..], &key, &masked].concat()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_one_frame_of_a_code_and_a_reason() {
        let word = Farewell::saying(Reason::TokenExpired);
        assert_eq!(word.frame(None), [&[0x88, 15, 0x0b, 0xb8][..], b"token.expired"].concat());
        assert_eq!(Farewell::LEAVING.frame(Some([1, 2, 3, 4])), [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2]);
    }

    #[test]
    fn what_is_hidden_from_callers_is_hidden_here_too() {
        let word = Farewell::saying(Reason::AppDisabled);
        assert_eq!((word.code, word.text), (CloseCode::Unauthorized, "token.invalid"));
        let word = Farewell::saying(Reason::ScopeInsufficient);
        assert_eq!((word.code, word.text), (CloseCode::Forbidden, "scope.insufficient"));
    }

    #[test]
    fn every_reason_fits_into_a_control_frame() {
        for reason in Reason::ALL {
            let frame = Farewell::saying(*reason).frame(None);
            assert_eq!((usize::from(frame[1]), frame[1] <= 125), (frame.len() - 2, true), "{reason}");
        }
    }
}
