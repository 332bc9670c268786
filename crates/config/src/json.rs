//! A tree of JSON that knows the place of everything in it.

mod reader;

use std::fmt;

pub(crate) use reader::{SyntaxError, parse};

/// A place in a file, counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it is written, so that money loses no digits.
    Number(String),
    String(Words),
    Array(Vec<Node>),
    Object(Vec<Member>),
    /// Was reported, and is left out of what is read after.
    Gone,
}

/// A string, and what of it came from outside the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// The file alone.
    File,
    /// A variable is part of it: it may hold a secret and is not quoted.
    Mixed,
    /// All of it is one variable, which may thus stand for a number.
    Variable,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

impl Node {
    /// The value at a path, and the place of its name where it has one.
    pub(crate) fn find(&self, path: &[Step]) -> Option<(Place, &Self)> {
        let mut found = (self.place, self);
        for step in path {
            found = match (step, &found.1.value) {
                (Step::Name(name), Value::Object(members)) => {
                    let member = members.iter().find(|member| member.is(name))?;
                    (member.place, &member.node)
                }
                (Step::Index(index), Value::Array(nodes)) => {
                    let node = nodes.get(*index)?;
                    (node.place, node)
                }
                _ => return None,
            };
        }
        Some(found)
    }

    /// The value at a path, to be changed.
    pub(crate) fn find_mut(&mut self, path: &[Step]) -> Option<&mut Self> {
        let Some((step, rest)) = path.split_first() else {
            return Some(self);
        };
        let next = match (step, &mut self.value) {
            (Step::Name(name), Value::Object(members)) => {
                let member = members.iter_mut().find(|member| member.is(name))?;
                &mut member.node
            }
            (Step::Index(index), Value::Array(nodes)) => nodes.get_mut(*index)?,
            _ => return None,
        };
        next.find_mut(rest)
    }

    /// Calls `visit` with every value, from the outermost in.
    pub(crate) fn walk(&mut self, path: &mut Path, visit: &mut impl FnMut(&Path, &mut Self)) {
        visit(path, self);
        match &mut self.value {
            Value::Array(nodes) => {
                for (index, node) in nodes.iter_mut().enumerate() {
                    path.0.push(Step::Index(index));
                    node.walk(path, visit);
                    path.0.pop();
                }
            }
            Value::Object(members) => {
                for member in members {
                    path.0.push(Step::Name(member.name.clone()));
                    member.node.walk(path, visit);
                    path.0.pop();
                }
            }
            _ => {}
        }
    }
}

impl Member {
    fn is(&self, name: &str) -> bool {
        self.name == name && self.node.value != Value::Gone
    }
}

impl Value {
    /// What it is, for messages.
    pub(crate) fn sort(&self) -> &'static str {
        match self {
            Self::Null | Self::Gone => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// From the whole file to one value in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Name(String),
    Index(usize),
}

impl Path {
    pub(crate) fn of<const N: usize>(names: [&str; N]) -> Self {
        Self(names.map(|name| Step::Name(name.to_owned())).into())
    }

    pub(crate) fn name(&self, name: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Name(name.to_owned()));
        path
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Index(index));
        path
    }
}

/// `routing.rules[0].action`; a name with other letters than usual stands in brackets and quotes.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = |letter: char| letter.is_ascii_alphanumeric() || "_-$/".contains(letter);
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) if name.is_empty() || !name.chars().all(usual) => {
                    write!(f, "[{name:?}]")?;
                }
                Step::Name(name) if at == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}
