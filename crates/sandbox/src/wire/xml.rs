//! Answers of the protocols in XML.

use std::fmt::{Display, Write};

/// Writes XML elements; text is escaped.
#[derive(Debug, Default)]
pub struct Xml(String);

impl Xml {
    /// Starts a document.
    #[must_use]
    pub fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned())
    }

    /// The root element with its namespace.
    pub fn root(&mut self, name: &str, namespace: &str, content: impl FnOnce(&mut Xml)) {
        self.push(["<", name, " xmlns=\"", namespace, "\">"]);
        content(self);
        self.close(name);
    }

    /// An element with elements in it.
    pub fn element(&mut self, name: &str, content: impl FnOnce(&mut Xml)) {
        self.push(["<", name, ">"]);
        content(self);
        self.close(name);
    }

    /// An element with text in it.
    pub fn text(&mut self, name: &str, value: impl Display) {
        self.element(name, |xml| {
            write!(Escaped(&mut xml.0), "{value}").expect("a String takes all that is written");
        });
    }

    /// What a fragment of this writer came to.
    pub fn raw(&mut self, fragment: &str) {
        self.0.push_str(fragment);
    }

    /// A fragment, to be put into a document with [`Xml::raw`].
    #[must_use]
    pub fn fragment(content: impl FnOnce(&mut Xml)) -> String {
        let mut xml = Self::default();
        content(&mut xml);
        xml.0
    }

    /// An element with text in it, left out when there is none.
    pub fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A list: the outer element, and one inner element per item.
    pub fn list<T>(
        &mut self,
        name: &str,
        member: &str,
        items: impl IntoIterator<Item = T>,
        mut content: impl FnMut(&mut Xml, T),
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.element(member, |xml| content(xml, item));
            }
        });
    }

    /// A list of texts.
    pub fn texts<T: Display>(
        &mut self,
        name: &str,
        member: &str,
        items: impl IntoIterator<Item = T>,
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.text(member, item);
            }
        });
    }

    /// The document.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }

    fn close(&mut self, name: &str) {
        self.push(["</", name, ">"]);
    }

    fn push<const N: usize>(&mut self, parts: [&str; N]) {
        parts.iter().for_each(|part| self.0.push_str(part));
    }
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"']) {
            let (before, from) = rest.split_at(at);
            self.0.push_str(before);
            self.0.push_str(match from.as_bytes()[0] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                _ => "&quot;",
            });
            rest = &from[1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// A moment as the XML protocols write it: `2026-01-01T00:00:00.000Z`.
#[must_use]
pub fn iso8601(at_ms: i64) -> String {
    use aws_smithy_types::date_time::{DateTime, Format};
    DateTime::from_millis(at_ms).fmt(Format::DateTime).expect("the model's clock stays in range")
}
