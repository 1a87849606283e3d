//! The elements of a JSON array and the lines of a text, found without reading them.

/// One element, not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) index: usize,
    /// Where it begins in the body.
    pub(super) offset: usize,
    pub(super) bytes: &'a [u8],
}

/// Where an array stops being one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) index: usize,
    pub(super) offset: usize,
    pub(super) detail: String,
}

/// The lines that are not blank.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut offset = 0;
    let lines = body.split(|byte| *byte == b'\n').map(move |line| {
        let at = offset;
        offset += line.len() + 1;
        (at, line.strip_suffix(b"\r").unwrap_or(line))
    });
    let lines = lines.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace));
    lines.enumerate().map(|(index, (offset, bytes))| Element { index, offset, bytes })
}

/// The elements of the array in `body`, cut at the commas of its first level, so that one element
/// that cannot be read does not take the others with it. Brackets and quotes must pair up; where
/// they do not, the last item says so.
pub(super) fn array_elements(body: &[u8]) -> impl Iterator<Item = Result<Element<'_>, Broken>> {
    let start = body.iter().position(|byte| *byte == b'[').map_or(body.len(), |at| at + 1);
    let mut scan = Scan { body, at: start, index: 0, is_over: false, trailing: None };
    std::iter::from_fn(move || scan.next_element())
}

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
    index: usize,
    is_over: bool,
    /// What stands behind the array.
    trailing: Option<usize>,
}

impl<'a> Scan<'a> {
    fn next_element(&mut self) -> Option<Result<Element<'a>, Broken>> {
        if self.is_over {
            let offset = self.trailing.take()?;
            return Some(Err(self.broken(offset, "something follows the array")));
        }
        let start = self.at;
        let Some((end, closes)) = self.end_of_element() else {
            self.is_over = true;
            return Some(Err(self.broken(self.body.len(), "the array is not closed")));
        };
        self.at = end + 1;
        let bytes = self.body.get(start..end).unwrap_or_default();
        if closes {
            self.is_over = true;
            let rest = self.body.get(self.at..).unwrap_or_default();
            let garbage = rest.iter().position(|byte| !byte.is_ascii_whitespace());
            self.trailing = garbage.map(|at| self.at + at);
            if self.index == 0 && bytes.iter().all(u8::is_ascii_whitespace) {
                return self.next_element(); // an empty array
            }
        }
        let element = Element { index: self.index, offset: start, bytes };
        self.index += 1;
        Some(Ok(element))
    }

    /// Where the element ends, and whether the array ends with it.
    fn end_of_element(&self) -> Option<(usize, bool)> {
        let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
        for (at, byte) in self.body.iter().enumerate().skip(self.at) {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_text => is_escaped = true,
                b'"' => is_text = !is_text,
                _ if is_text => {}
                b'[' | b'{' => depth += 1,
                b',' if depth == 0 => return Some((at, false)),
                b']' if depth == 0 => return Some((at, true)),
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    }

    fn broken(&self, offset: usize, detail: &str) -> Broken {
        Broken { index: self.index, offset, detail: detail.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<Result<(usize, String), String>> {
        array_elements(body.as_bytes())
            .map(|element| {
                let element = element.map_err(|broken| broken.detail)?;
                Ok((element.offset, String::from_utf8_lossy(element.bytes).trim().to_owned()))
            })
            .collect()
    }

    #[expect(clippy::unnecessary_wraps, reason = "the form of what is compared with it")]
    fn ok(offset: usize, text: &str) -> Result<(usize, String), String> {
        Ok((offset, text.to_owned()))
    }

    #[test]
    fn cuts_at_the_commas_of_the_first_level() {
        assert_eq!(
            texts("[1, {\"a\":[2,3]},\"x,]\\\"\"]"),
            [ok(1, "1"), ok(3, "{\"a\":[2,3]}"), ok(16, "\"x,]\\\"\""),]
        );
        assert_eq!(texts(" [ ] "), []);
    }

    #[test]
    fn one_bad_element_leaves_the_others() {
        assert_eq!(texts("[{\"a\":tru},2]"), [ok(1, "{\"a\":tru}"), ok(11, "2")]);
        assert_eq!(texts("[1,,2]").len(), 3);
    }

    #[test]
    fn tells_where_the_array_breaks() {
        assert_eq!(texts("[1,{\"a\":\"x"), [ok(1, "1"), Err("the array is not closed".to_owned())]);
        let trailing = Err("something follows the array".to_owned());
        assert_eq!(texts("[1] 2"), [ok(1, "1"), trailing.clone()]);
        assert_eq!(texts("[]]"), [trailing]);
    }

    #[test]
    fn lines_skip_blanks_and_keep_offsets() {
        let found: Vec<_> =
            lines(b"a\r\n\n  \nb").map(|line| (line.index, line.offset, line.bytes)).collect();
        assert_eq!(found, [(0, 0, &b"a"[..]), (1, 7, b"b")]);
    }
}
