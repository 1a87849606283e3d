//! The JSON form of a connection: where its texts end.

/// A JSON text on its way in: brackets are counted, strings passed over. Whether it is JSON is
/// for the parser to say, which reads it whole.
#[derive(Debug, Default)]
pub(super) struct JsonScanner {
    at: usize,
    depth: u32,
    deepest: u32,
    is_in_string: bool,
    is_escaped: bool,
    /// How many commas stand between the elements of the outermost array, and where the last of
    /// these elements begins.
    commas: u32,
    tail: Option<usize>,
    /// The first byte of the second element.
    second: Option<u8>,
}

impl JsonScanner {
    /// Scans on in `data`, of which it has seen the beginning before. Gives the length of the text,
    /// which begins with a bracket.
    pub(super) fn scan(&mut self, data: &[u8]) -> Option<usize> {
        for &byte in data.get(self.at..).unwrap_or_default() {
            self.at += 1;
            if self.is_in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_string = false,
                    _ => {}
                }
                continue;
            }
            if self.depth == 1 && self.commas == 1 && self.second.is_none() && !is_blank(byte) {
                self.second = Some(byte);
            }
            match byte {
                b',' if self.depth == 1 => {
                    self.commas = self.commas.saturating_add(1);
                    self.tail = Some(self.at);
                }
                b'"' => self.is_in_string = true,
                b'[' | b'{' => {
                    self.depth = self.depth.saturating_add(1);
                    self.deepest = self.deepest.max(self.depth);
                }
                b']' | b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Whether no text has begun.
    pub(super) fn is_at_start(&self) -> bool {
        self.deepest == 0
    }

    /// How deep the brackets nest.
    pub(super) fn deepest(&self) -> u32 {
        self.deepest
    }

    /// Where the last element of the outermost array begins, if that was not thrown away.
    pub(super) fn tail(&self) -> Option<usize> {
        self.tail
    }

    /// Where the option of a whole message begins, if its last element is one.
    pub(super) fn option(&self) -> Option<usize> {
        let option = if self.second == Some(b'[') && self.commas < 3 { 2 } else { 3 };
        self.tail.filter(|_| self.commas == option)
    }

    /// Tells that so many bytes at the start of those scanned so far have been thrown away.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
        self.tail = self.tail.and_then(|tail| tail.checked_sub(bytes));
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The length of the blanks (and a byte order mark) at the start of `data`.
pub(super) fn blanks(data: &[u8]) -> usize {
    let bom = if data.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let rest = data.get(bom..).unwrap_or_default();
    bom + rest.iter().take_while(|byte| is_blank(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_in_any_pieces() {
        let text = br#"["a]\"\\",{"b":[1,"}"]}] ["#;
        for cut in 0..text.len() {
            let mut scanner = JsonScanner::default();
            let first = scanner.scan(&text[..cut]);
            assert_eq!(first.or_else(|| scanner.scan(text)), Some(text.len() - 2));
        }
    }

    #[test]
    fn blanks_and_a_mark_come_first() {
        assert_eq!(blanks(b"\xef\xbb\xbf \n["), 5);
        assert_eq!(blanks(b"["), 0);
    }
}
