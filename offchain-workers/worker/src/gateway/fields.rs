//! Reading a JSON body field by field, so that what is wrong is said of the field it is in.

use super::error::{quoted, OpenAiError};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// Fields that change nothing about the answer; clients send them for services of other kinds.
const IGNORED: [&str; 7] = [
	"metadata",
	"prompt_cache_key",
	"prompt_cache_retention",
	"safety_identifier",
	"service_tier",
	"store",
	"user",
];

/// The fields of a body that were not read yet.
#[derive(Debug)]
pub struct Fields {
	fields: Map<String, Value>,
	/// Where the object stands, as in `stream_options.`.
	prefix: String,
}

impl Fields {
	/// Reads a body.
	pub fn parse(body: &[u8]) -> Result<Self, OpenAiError> {
		match serde_json::from_slice(body) {
			Ok(Value::Object(fields)) => Ok(Self { fields, prefix: String::new() }),
			Ok(_) => Err(OpenAiError::invalid("The body is JSON, but not an object.")),
			Err(error) => {
				Err(OpenAiError::invalid(format!("The body is not valid JSON: {error}.")))
			},
		}
	}

	/// An object within another.
	pub fn within(name: &str, value: Value) -> Result<Self, OpenAiError> {
		match value {
			Value::Object(fields) => Ok(Self { fields, prefix: format!("{name}.") }),
			_ => Err(OpenAiError::field(name, format!("`{name}` must be an object."))),
		}
	}

	/// The field's full name.
	fn path(&self, name: &str) -> String {
		format!("{}{name}", self.prefix)
	}

	fn wrong(&self, name: &str, must: &str) -> OpenAiError {
		let path = self.path(name);
		OpenAiError::field(&path, format!("`{path}` must be {must}."))
	}

	/// The field as it is; null counts as absent.
	pub fn take(&mut self, name: &str) -> Option<Value> {
		self.fields.remove(name).filter(|value| !value.is_null())
	}

	/// An object.
	pub fn object(&mut self, name: &str) -> Result<Option<Self>, OpenAiError> {
		let path = self.path(name);
		self.take(name).map(|value| Self::within(&path, value)).transpose()
	}

	/// A text.
	pub fn text(&mut self, name: &str) -> Result<Option<String>, OpenAiError> {
		match self.take(name) {
			None => Ok(None),
			Some(Value::String(text)) => Ok(Some(text)),
			Some(_) => Err(self.wrong(name, "a string")),
		}
	}

	/// A text that has to be there.
	pub fn required_text(&mut self, name: &str) -> Result<String, OpenAiError> {
		self.text(name)?.ok_or_else(|| self.missing(name))
	}

	/// The field has to be there, but is not.
	pub fn missing(&self, name: &str) -> OpenAiError {
		let path = self.path(name);
		OpenAiError::field(&path, format!("`{path}` is missing."))
			.with_code("missing_required_parameter")
	}

	/// A truth value.
	pub fn truth(&mut self, name: &str) -> Result<Option<bool>, OpenAiError> {
		match self.take(name) {
			None => Ok(None),
			Some(Value::Bool(truth)) => Ok(Some(truth)),
			Some(_) => Err(self.wrong(name, "true or false")),
		}
	}

	/// A whole number.
	pub fn count(
		&mut self,
		name: &str,
		range: RangeInclusive<usize>,
	) -> Result<Option<usize>, OpenAiError> {
		let Some(value) = self.take(name) else { return Ok(None) };
		let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
		match number.filter(|number| range.contains(number)) {
			Some(number) => Ok(Some(number)),
			None if *range.end() == usize::MAX => {
				Err(self.wrong(name, &format!("a whole number of at least {}", range.start())))
			},
			None => Err(self
				.wrong(name, &format!("a whole number from {} to {}", range.start(), range.end()))),
		}
	}

	/// A number.
	pub fn number(
		&mut self,
		name: &str,
		range: RangeInclusive<f64>,
	) -> Result<Option<f32>, OpenAiError> {
		let Some(value) = self.take(name) else { return Ok(None) };
		match value.as_f64().filter(|number| range.contains(number)) {
			Some(number) => Ok(Some(number as f32)),
			None => {
				Err(self
					.wrong(name, &format!("a number from {} to {}", range.start(), range.end())))
			},
		}
	}

	/// A list of token ids of a vocabulary of `size`.
	pub fn tokens(&mut self, name: &str, size: usize) -> Result<Option<Vec<u32>>, OpenAiError> {
		let Some(value) = self.take(name) else { return Ok(None) };
		let ids = value.as_array().and_then(|list| tokens(list, size));
		ids.map(Some).ok_or_else(|| self.wrong(name, "a list of token ids"))
	}

	/// Refuses a field that would change the answer in a way that is not done here, unless it asks
	/// for nothing.
	pub fn refuse(&mut self, name: &str, why: &str) -> Result<(), OpenAiError> {
		match self.take(name) {
			None | Some(Value::Bool(false)) => Ok(()),
			Some(Value::Array(list)) if list.is_empty() => Ok(()),
			Some(_) => {
				let path = self.path(name);
				Err(OpenAiError::unsupported(
					&path,
					format!("`{path}` cannot be used here: {why}."),
				))
			},
		}
	}

	/// Refuses what was not read: a field that is misspelt must not be passed over in silence.
	pub fn finish(mut self) -> Result<(), OpenAiError> {
		if self.prefix.is_empty() {
			self.fields.retain(|name, _| !IGNORED.contains(&name.as_str()));
		}
		match self.fields.keys().next() {
			None => Ok(()),
			Some(name) => {
				let path = self.path(&quoted(name));
				Err(OpenAiError::field(&path, format!("There is no field `{path}` here."))
					.with_code("unknown_parameter"))
			},
		}
	}
}

/// A list of token ids of a vocabulary of `size`; `None` when it is anything else.
pub fn tokens(list: &[Value], size: usize) -> Option<Vec<u32>> {
	let token = |value: &Value| {
		let id = u32::try_from(value.as_u64()?).ok()?;
		usize::try_from(id).is_ok_and(|id| id < size).then_some(id)
	};
	list.iter().map(token).collect()
}

#[cfg(test)]
mod tests {
	use super::*;
	use serde_json::json;

	fn fields(value: Value) -> Fields {
		Fields::parse(value.to_string().as_bytes()).unwrap()
	}

	#[test]
	fn what_is_wrong_should_be_said_of_its_field() {
		let param = |error: OpenAiError| error.body()["error"]["param"].clone();
		for bad in [json!(-1), json!(1.5), json!("1"), json!([1]), json!(1e300), json!(17)] {
			assert_eq!(param(fields(json!({"n": bad})).count("n", 1..=16).unwrap_err()), "n");
		}
		for bad in [json!(-0.1), json!(2.1), json!("1"), json!({})] {
			let error = fields(json!({"temperature": bad})).number("temperature", 0.0..=2.0);
			assert_eq!(param(error.unwrap_err()), "temperature");
		}
		let mut nested = fields(json!({"stream_options": {"include_usage": 1}}));
		let mut nested = nested.object("stream_options").unwrap().unwrap();
		let error = nested.truth("include_usage").unwrap_err();
		assert_eq!(param(error), "stream_options.include_usage");
		assert_eq!(param(fields(json!({"temprature": 1})).finish().unwrap_err()), "temprature");
		assert!(fields(json!({"user": "me", "store": true})).finish().is_ok());
	}

	#[test]
	fn what_is_not_an_object_should_be_refused() {
		for bad in [&b"{"[..], b"", b"[]", b"12", b"\"text\"", b"{\"a\": \"\xff\"}", b"{} {}"] {
			assert!(Fields::parse(bad).is_err(), "{bad:?}");
		}
		let deep = "[".repeat(100_000);
		assert!(Fields::parse(deep.as_bytes()).is_err());
	}
}
