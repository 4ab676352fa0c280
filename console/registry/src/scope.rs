//! Which agencies a caller may know of.

use crate::database::QueryBuilder;
use crate::{Error, Result};

/// The agencies that exist for a caller. Everything outside is answered as if it were not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every agency, and what belongs to the province as a whole.
    All,
    /// Only these agencies; an empty list sees nothing.
    Organizations(Vec<String>),
}

impl Scope {
    /// Whether what belongs to `organization` exists for this caller.
    pub fn allows(&self, organization: &str) -> bool {
        match self {
            Self::All => true,
            Self::Organizations(list) => list.iter().any(|one| one == organization),
        }
    }

    /// Answers that there is no such `what` where its agency does not exist for this caller.
    pub(crate) fn admit(&self, organization: &str, what: &'static str) -> Result<()> {
        if self.allows(organization) { Ok(()) } else { Err(Error::NotFound(what)) }
    }

    /// Whether something exists for this caller; what belongs to no single agency is the province's alone.
    pub fn allows_optional(&self, organization: Option<&str>) -> bool {
        organization.map_or(*self == Self::All, |organization| self.allows(organization))
    }

    /// The scope narrowed to `organizations` where the caller asked for some.
    #[must_use]
    pub fn narrowed(&self, organizations: &[String]) -> Self {
        if organizations.is_empty() {
            return self.clone();
        }
        Self::Organizations(organizations.iter().filter(|one| self.allows(one)).cloned().collect())
    }

    /// Appends `AND column IN (...)`, or nothing for the whole province.
    pub(crate) fn restrict(&self, query: &mut QueryBuilder, column: &str) {
        let Self::Organizations(list) = self else { return };
        push_in(query, column, list);
    }
}

/// Appends `AND column IN (values)`; an empty list matches nothing.
pub(crate) fn push_in(query: &mut QueryBuilder, column: &str, values: &[String]) {
    if values.is_empty() {
        query.push(" AND 1 = 0");
        return;
    }
    query.push(" AND ").push(column).push(" IN (");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value.clone());
    }
    query.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_never_widens() {
        let scope = Scope::Organizations(vec!["a".into(), "b".into()]);
        assert_eq!(scope.narrowed(&["b".into(), "c".into()]), Scope::Organizations(vec!["b".into()]));
        assert_eq!(scope.narrowed(&[]), scope);
        assert!(!scope.allows_optional(None));
        assert!(Scope::All.allows_optional(None));
    }
}
