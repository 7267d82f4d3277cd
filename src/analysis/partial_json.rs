//! Some members of a JSON object, taken while all of it is checked: an analysis reads thousands of files of options, of which it
//! needs less than a tree of everything would cost.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// What takes members of an object.
pub trait Members {
    /// The number by which a member of this key is taken; none where it is not.
    fn place(&self, key: &str) -> Option<usize>;

    /// Takes the value of the member that `place` gave this number. Of a key that stands twice the last value counts.
    ///
    /// # Errors
    /// Those of `map`.
    fn take<'de, A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error>;
}

/// Values by name, null where there is none.
pub struct Named<const N: usize> {
    names: &'static [&'static str; N],
    values: [Value; N],
}

impl<const N: usize> Named<N> {
    pub fn new(names: &'static [&'static str; N]) -> Self {
        Named { names, values: [const { Value::Null }; N] }
    }

    /// In the order of the names.
    pub const fn values(&self) -> &[Value; N] {
        &self.values
    }

    /// The value under `name`; null where there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.place(name).map_or(&Value::Null, |place| &self.values[place])
    }
}

impl<const N: usize> Members for Named<N> {
    fn place(&self, key: &str) -> Option<usize> {
        self.names.iter().position(|name| *name == key)
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error> {
        self.values[place] = map.next_value()?;
        Ok(())
    }
}

/// Objects under one word and a number from 0: `conv0`, `conv1`, and so on; of each, values by name.
pub struct Numbered<const N: usize> {
    word: &'static str,
    names: &'static [&'static str; N],
    /// In the order of the text, whatever has another key with a number that nothing has; none where a value is no object.
    found: Vec<(usize, Option<Named<N>>)>,
}

impl<const N: usize> Numbered<N> {
    pub const fn new(word: &'static str, names: &'static [&'static str; N]) -> Self {
        Numbered { word, names, found: Vec::new() }
    }

    /// In the order of the numbers; none where one is missing or no object, or where something else stands among them.
    pub fn in_order(mut self) -> Option<Vec<Named<N>>> {
        self.found.reverse();
        self.found.sort_by_key(|(number, _)| *number);
        self.found.dedup_by_key(|(number, _)| *number);
        let in_order = self.found.into_iter().enumerate().map(|(at, (number, named))| named.filter(|_| at == number));
        in_order.collect()
    }
}

impl<const N: usize> Members for Numbered<N> {
    fn place(&self, key: &str) -> Option<usize> {
        let number = key.strip_prefix(self.word).and_then(|digits| digits.parse().ok());
        // `conv01` and `conv+1` are not `conv1`.
        number.filter(|number: &usize| key.len() == self.word.len() + number.to_string().len()).or(Some(usize::MAX))
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error> {
        let mut named = Named::new(self.names);
        let is_object = map.next_value_seed(Any(&mut named))?;
        self.found.push((place, is_object.then_some(named)));
        Ok(())
    }
}

/// Takes members of the JSON object that `text` is.
///
/// # Errors
/// It is no JSON, or no object.
pub fn take(text: &str, members: &mut impl Members) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Whole(members))?;
    json.end()
}

struct Whole<'a, M>(&'a mut M);

impl<'de, M: Members> Visitor<'de> for Whole<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Key(self.0))? {
            match place {
                Some(place) => self.0.take(place, &mut map)?,
                None => map.next_value_seed(Any(&mut Nothing)).map(drop)?,
            }
        }
        Ok(())
    }
}

/// Any value: whether it is an object, of which members are taken then.
pub struct Any<'a, M>(pub &'a mut M);

impl<'de, M: Members> DeserializeSeed<'de> for Any<'_, M> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: Members> Visitor<'de> for Any<'_, M> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<bool, A::Error> {
        Whole(self.0).visit_map(map).map(|()| true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        while list.next_element_seed(Any(&mut Nothing))?.is_some() {}
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }
}

/// Of an object that is only checked.
struct Nothing;

impl Members for Nothing {
    fn place(&self, _: &str) -> Option<usize> {
        None
    }

    fn take<'de, A: MapAccess<'de>>(&mut self, _: usize, _: &mut A) -> Result<(), A::Error> {
        Ok(())
    }
}

/// A key, as its number among the members.
struct Key<'a, M>(&'a M);

impl<'de, M: Members> DeserializeSeed<'de> for Key<'_, M> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<M: Members> Visitor<'_> for Key<'_, M> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.place(key))
    }
}
