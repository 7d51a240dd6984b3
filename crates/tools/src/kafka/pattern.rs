//! Patterns for topics, in the part of Java's regular expressions that lists of topics are written
//! in: characters, `.`, classes, `\d \w \s`, groups, `|`, `* + ? {n,m}` (lazy and possessive ones
//! match the same texts), `^` and `$`. The whole text has to match. Time is bounded by the lengths of
//! pattern and text multiplied; there are no back references and no look-around.

use std::collections::HashSet;

/// A pattern that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is an invalid regex.")]
pub struct InvalidPattern(pub String);

/// A pattern that whole texts are matched against.
#[derive(Clone, Debug)]
pub struct Pattern {
    program: Vec<Step>,
}

/// One step of the matching machine.
#[derive(Clone, Debug)]
enum Step {
    /// One character of a set.
    Take(Set),
    /// Go on in both places.
    Split(usize, usize),
    Jump(usize),
    Start,
    End,
    Match,
}

#[derive(Clone, Debug)]
struct Set {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Set {
    fn one(c: char) -> Self {
        Set { negated: false, ranges: vec![(c, c)] }
    }

    fn has(&self, c: char) -> bool {
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != self.negated
    }
}

/// The tree that a pattern is parsed into.
#[derive(Clone, Debug)]
enum Tree {
    Empty,
    Take(Set),
    Start,
    End,
    Sequence(Vec<Tree>),
    Either(Vec<Tree>),
    Repeat(Box<Tree>, u32, Option<u32>),
}

/// Repetitions and nesting that no list of topics needs more of.
const MAX_REPEAT: u32 = 1000;
const MAX_STEPS: usize = 100_000;
const MAX_DEPTH: usize = 100;

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it is none, or uses what is not known here.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(text.to_owned());
        let mut reader = Reader { rest: text.chars().peekable(), depth: 0 };
        let tree = reader.either().ok_or_else(invalid)?;
        if reader.rest.next().is_some() {
            return Err(invalid());
        }
        let mut program = Vec::new();
        compile(&tree, &mut program).ok_or_else(invalid)?;
        program.push(Step::Match);
        Ok(Self { program })
    }

    /// A list of topics as the tools take it: commas stand for alternatives, spaces for nothing.
    ///
    /// # Errors
    /// If it is no pattern.
    pub fn of_topics(list: &str) -> Result<Self, InvalidPattern> {
        let list = list.trim().replace(',', "|").replace(' ', "");
        Self::new(list.trim_matches(['"', '\'']))
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut open = vec![(0, 0)];
        let mut seen = HashSet::new();
        while let Some((step, at)) = open.pop() {
            if !seen.insert((step, at)) {
                continue;
            }
            match &self.program[step] {
                Step::Match if at == text.len() => return true,
                Step::Match => {}
                Step::Take(set) => {
                    if text.get(at).is_some_and(|c| set.has(*c)) {
                        open.push((step + 1, at + 1));
                    }
                }
                Step::Split(one, other) => open.extend([(*one, at), (*other, at)]),
                Step::Jump(to) => open.push((*to, at)),
                Step::Start if at == 0 => open.push((step + 1, at)),
                Step::End if at == text.len() => open.push((step + 1, at)),
                Step::Start | Step::End => {}
            }
        }
        false
    }
}

fn compile(tree: &Tree, program: &mut Vec<Step>) -> Option<()> {
    if program.len() > MAX_STEPS {
        return None;
    }
    match tree {
        Tree::Empty => {}
        Tree::Take(set) => program.push(Step::Take(set.clone())),
        Tree::Start => program.push(Step::Start),
        Tree::End => program.push(Step::End),
        Tree::Sequence(parts) => parts.iter().try_for_each(|part| compile(part, program))?,
        Tree::Either(choices) => {
            let mut ends = Vec::new();
            for (at, choice) in choices.iter().enumerate() {
                let last = at + 1 == choices.len();
                let split = program.len();
                if !last {
                    program.push(Step::Jump(0));
                }
                compile(choice, program)?;
                if !last {
                    ends.push(program.len());
                    program.push(Step::Jump(0));
                    program[split] = Step::Split(split + 1, program.len());
                }
            }
            for end in ends {
                program[end] = Step::Jump(program.len());
            }
        }
        Tree::Repeat(what, least, most) => {
            (0..*least).try_for_each(|_| compile(what, program))?;
            match most {
                None => {
                    let split = program.len();
                    program.push(Step::Jump(0));
                    compile(what, program)?;
                    program.push(Step::Jump(split));
                    program[split] = Step::Split(split + 1, program.len());
                }
                Some(most) => {
                    let mut splits = Vec::new();
                    for _ in *least..*most {
                        splits.push(program.len());
                        program.push(Step::Jump(0));
                        compile(what, program)?;
                    }
                    for split in splits {
                        program[split] = Step::Split(split + 1, program.len());
                    }
                }
            }
        }
    }
    Some(())
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    depth: usize,
}

impl Reader<'_> {
    fn either(&mut self) -> Option<Tree> {
        let mut choices = vec![self.sequence()?];
        while self.rest.next_if_eq(&'|').is_some() {
            choices.push(self.sequence()?);
        }
        Some(match choices.len() {
            1 => choices.remove(0),
            _ => Tree::Either(choices),
        })
    }

    fn sequence(&mut self) -> Option<Tree> {
        let mut parts = Vec::new();
        while let Some(next) = self.rest.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            let part = self.part()?;
            parts.push(self.repeated(part)?);
        }
        Some(if parts.is_empty() { Tree::Empty } else { Tree::Sequence(parts) })
    }

    fn part(&mut self) -> Option<Tree> {
        Some(match self.rest.next()? {
            '.' => Tree::Take(Set { negated: true, ranges: vec![('\n', '\n'), ('\r', '\r')] }),
            '^' => Tree::Start,
            '$' => Tree::End,
            '[' => Tree::Take(self.class()?),
            '\\' => Tree::Take(self.escape()?),
            '(' => self.group()?,
            '*' | '+' | '?' | '{' => return None,
            c => Tree::Take(Set::one(c)),
        })
    }

    fn group(&mut self) -> Option<Tree> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        if self.rest.next_if_eq(&'?').is_some() {
            self.rest.next_if_eq(&':')?;
        }
        let inside = self.either()?;
        self.rest.next_if_eq(&')')?;
        self.depth -= 1;
        Some(inside)
    }

    fn repeated(&mut self, part: Tree) -> Option<Tree> {
        let (least, most) = match self.rest.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.rest.next();
                let least = self.number()?;
                let most = match self.rest.next_if_eq(&',') {
                    None => Some(least),
                    Some(_) if self.rest.peek() == Some(&'}') => None,
                    Some(_) => Some(self.number()?),
                };
                if self.rest.peek() != Some(&'}') || most.is_some_and(|most| most < least) {
                    return None;
                }
                (least, most)
            }
            _ => return Some(part),
        };
        self.rest.next();
        // Lazy and possessive: the same texts as a whole, but for what possessive ones give up.
        let _ = self.rest.next_if(|c| matches!(c, '?' | '+'));
        Some(Tree::Repeat(Box::new(part), least, most))
    }

    fn number(&mut self) -> Option<u32> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok().filter(|number| *number <= MAX_REPEAT)
    }

    fn class(&mut self) -> Option<Set> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            let from = match self.rest.next()? {
                ']' if !ranges.is_empty() => return Some(Set { negated, ranges }),
                '[' | '&' => return None,
                '\\' => match self.escape()? {
                    Set { negated: false, ranges: one }
                        if one.len() == 1 && one[0].0 == one[0].1 =>
                    {
                        one[0].0
                    }
                    Set { negated: false, ranges: several } => {
                        ranges.extend(several);
                        continue;
                    }
                    Set { negated: true, .. } => return None,
                },
                c => c,
            };
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']') {
                self.rest.next();
                let to = match self.rest.next()? {
                    '\\' => self.escape()?.ranges.first()?.0,
                    c => c,
                };
                if to < from {
                    return None;
                }
                ranges.push((from, to));
            } else {
                ranges.push((from, from));
            }
        }
    }

    fn escape(&mut self) -> Option<Set> {
        let digits = vec![('0', '9')];
        let words = vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')];
        let spaces = vec![(' ', ' '), ('\t', '\r')];
        let (negated, ranges) = match self.rest.next()? {
            'd' => (false, digits),
            'D' => (true, digits),
            'w' => (false, words),
            'W' => (true, words),
            's' => (false, spaces),
            'S' => (true, spaces),
            't' => (false, vec![('\t', '\t')]),
            'n' => (false, vec![('\n', '\n')]),
            c if c.is_ascii_alphanumeric() => return None,
            c => return Some(Set::one(c)),
        };
        Some(Set { negated, ranges })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(text)
    }

    #[test]
    fn the_whole_text_has_to_match() {
        assert!(matches("test", "test") && !matches("test", "tests") && !matches("es", "test"));
        assert!(matches("^test$", "test") && matches("", "") && !matches("", "a"));
        assert!(matches("a|bc|", "bc") && matches("a|bc|", "") && !matches("a|bc", "ac"));
        assert!(matches(r"test\.topic", "test.topic") && !matches(r"test\.topic", "test-topic"));
        assert!(matches("t.st", "tést"));
    }

    #[test]
    fn repetitions_and_classes() {
        assert!(matches("a.*z", "az") && matches("a.+z", "abz") && !matches("a.+z", "az"));
        assert!(matches("(ab)?c{2,3}", "abccc") && !matches("c{2,3}", "cccc"));
        assert!(matches("c{2,}", "ccccc") && !matches("c{2}", "c") && matches("x*?y++", "xxy"));
        assert!(matches("[a-c_]+", "a_c") && !matches("[^a-c]", "b") && matches("[-.]x", "-x"));
        assert!(matches(r"\w+-\d{3}", "topic-123") && !matches(r"\D", "1"));
        assert!(matches(r"[\w.]+", "a.b") && matches("(?:a|b)+", "abba") && matches("[]]", "]"));
    }

    #[test]
    fn lists_of_topics_are_alternatives() {
        let pattern = Pattern::of_topics(" 'a, b.*' ").unwrap();
        assert!(pattern.matches("a") && pattern.matches("b1") && !pattern.matches("c"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["*", "(", "a)", "[a", "a{2,1}", "a{", r"\k", "[z-a]", "(?=a)", "a{9999}"] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
        assert_eq!(Pattern::new("(").unwrap_err().to_string(), "( is an invalid regex.");
        assert!(Pattern::new(&"(".repeat(100_000)).is_err());
        assert!(Pattern::new("((a{999}){999}){999}").is_err());
    }

    #[test]
    fn nested_repetition_is_not_exponential() {
        assert!(!matches("(a*)*b", &"a".repeat(200)));
    }
}
