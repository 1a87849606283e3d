//! What a regular expression of the server can say of text.
//!
//! Text is compared with its case folded, as Unicode has it. Servers differ in what they take for the
//! same letter, so an expression spells out what it means, and leaves out what it cannot.

use mongodb::bson::{Document, doc};

use super::Query;

/// So many expressions of one atom at most, of its longest pieces.
const MAX_PIECES: usize = 4;
/// A longer piece of a text is cut.
const MAX_PIECE_CHARS: usize = 100;

/// The messages that may have each of these folded texts in it.
pub(super) fn of_message<'t>(texts: impl IntoIterator<Item = &'t str>) -> Query {
    let mut pieces: Vec<String> = texts.into_iter().flat_map(pieces).collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    pieces.truncate(MAX_PIECES);
    if pieces.is_empty() {
        return Query::Everything;
    }
    let has = pieces.into_iter().map(|piece| Query::Those(doc! { "message": { "$regex": piece } }));
    // A message of another writer need not be text; it is judged by the text it is shown as.
    let is_no_text = Query::Those(doc! { "message": { "$not": { "$type": "string" } } });
    let is_list = Query::Those(doc! { "message": { "$type": "array" } });
    Query::any([Query::all(has), is_no_text, is_list])
}

/// The expressions of the parts of a folded text that can be spelt out.
fn pieces(text: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut chars) = (Vec::new(), String::new(), 0);
    for c in text.chars() {
        if chars < MAX_PIECE_CHARS && spell(c, &mut piece) {
            chars += 1;
        } else {
            chars = 0;
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Appends what finds every character that is folded to `c`; `false` if that is not known.
fn spell(c: char, out: &mut String) -> bool {
    match c {
        // Two letters of other alphabets are folded to these.
        'k' => out.push_str("[kK\u{212a}]"),
        's' => out.push_str("[sS\u{17f}]"),
        'a'..='z' => out.extend(['[', c, c.to_ascii_uppercase(), ']']),
        ' '..='~' => literally(c, out),
        // Scripts without case.
        '\u{2e80}'..='\u{a48c}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' => out.push(c),
        _ => return false,
    }
    true
}

/// Appends a character that stands for itself. Others have no backslash: `\>` is the end of a word to
/// some servers.
fn literally(c: char, out: &mut String) {
    if matches!(
        c,
        '\\' | '^' | '$' | '.' | '|' | '?' | '*' | '+' | '(' | ')' | '[' | ']' | '{' | '}'
    ) {
        out.push('\\');
    }
    out.push(c);
}

/// The texts that begin as this one does, letter by letter; `None` if they cannot be told.
pub(super) fn beginning_with(text: &str) -> Option<Document> {
    let mut regex = "^".to_owned();
    for c in text.chars().take(MAX_PIECE_CHARS) {
        if c.is_control() {
            return None;
        }
        literally(c, &mut regex);
    }
    Some(doc! { "$regex": regex })
}

#[cfg(test)]
mod tests {
    use logmon_core::filter::token::fold_char;

    use super::*;

    /// A piece finds whatever is folded to it: of every character there is.
    #[test]
    fn what_is_spelt_is_all_that_is_folded_to_it() {
        for c in '\0'..=char::MAX {
            let mut spelt = String::new();
            if spell(fold_char(c), &mut spelt) {
                let is_there = spelt.chars().any(|one| one == c);
                assert!(is_there, "{c:?} is folded to {:?}, spelt {spelt}", fold_char(c));
            }
        }
    }

    #[test]
    fn what_cannot_be_spelt_is_left_out() {
        assert_eq!(pieces("a1é.日本"), ["[aA]1", "\\.日本"]);
        assert_eq!(pieces("éß"), Vec::<String>::new());
        assert_eq!(beginning_with("a.b"), Some(doc! { "$regex": "^a\\.b" }));
        assert_eq!(beginning_with("a\nb"), None);
    }
}
