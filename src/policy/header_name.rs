//! Names of header fields, as the most careless server reads them.

/// Whether two servers could read the names as one. CGI, and servers that pass fields as its variables, map `-` to `_`;
/// some map every byte that is neither a letter nor a digit. So all of these bytes count as one.
pub fn reads_as(name: &str, known: &str) -> bool {
    name.len() == known.len() && name.bytes().zip(known.bytes()).all(|(a, b)| plain(a) == plain(b))
}

/// Whether the name begins so, in any spelling.
pub fn begins(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| reads_as(start, prefix))
}

/// The byte in the one spelling of the tables: lower case, and `-` for whatever separates.
fn plain(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// Names and prefixes of names, all of them sorted and spelled with `-`.
pub(super) struct NameTable {
    pub names: &'static [&'static str],
    /// Beginnings of names, none of which begins another.
    pub families: &'static [&'static str],
}

/// As much of a name as is compared with the table.
const COMPARED: usize = 64;

impl NameTable {
    /// Whether the name is in the table, in any spelling. Takes two binary searches and no memory.
    pub fn holds(&self, name: &str) -> bool {
        let mut buffer = [0; COMPARED];
        let length = name.len().min(COMPARED);
        for (to, from) in buffer.iter_mut().zip(name.bytes()) {
            *to = plain(from);
        }
        let spelled = &buffer[..length];
        let is_whole = length == name.len();
        if is_whole && self.names.binary_search_by(|known| known.as_bytes().cmp(spelled)).is_ok() {
            return true;
        }
        let after = self.families.partition_point(|family| family.as_bytes() <= spelled);
        after.checked_sub(1).is_some_and(|last| spelled.starts_with(self.families[last].as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_in_every_spelling() {
        for spelling in ["x-user-name", "x_user.name", "x~user~name", "x+user!name", "X'User#NAME", "x|user`name"] {
            assert!(reads_as(spelling, "x-user-name") && reads_as("x-user-name", spelling), "{spelling}");
            assert!(begins(spelling, "x-user-"), "{spelling}");
        }
        assert!(!reads_as("x-user", "x-user-name") && !reads_as("xuser", "x-user") && !reads_as("x-a", "x-b"));
    }

    #[test]
    fn a_table_holds_names_and_families_in_every_spelling() {
        let table = NameTable { names: &["user", "x-user"], families: &["a-", "x-ssl-"] };
        let long = format!("x_ssl_{}", "x".repeat(100));
        for name in ["user", "X_User", "x~user", "x-ssl-", "x+ssl+cert", "A.b", &long] {
            assert!(table.holds(name), "{name}");
        }
        for name in ["", "a", "x-users", "x-ssl", "b-", "x-s", "xssl-cert", &"x".repeat(200)] {
            assert!(!table.holds(name), "{name}");
        }
    }
}
